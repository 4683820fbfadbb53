# Somebody deploys the next release by hand, as root, with the umask that root has on hardened hosts.
cd /srv/orders/releases
umask 077
[ -d 8 ] || { mkdir 8; cp -r 7/migrations 7/orders.py 8/; }
chown -R root:root 8
ln -sfn releases/8 /srv/orders/current.new
mv -T /srv/orders/current.new /srv/orders/current
systemctl restart orders.service || true
