# A lease brings the address of a name server that is long gone. In place: the file is a mount.
printf 'nameserver 10.213.77.53\noptions timeout:1 attempts:2\n' >/etc/resolv.conf
