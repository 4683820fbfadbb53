# What every site keeps: a nightly copy of the configuration, and who may do what with the folders of services.
cat >/usr/local/sbin/site-snapshot <<'PROGRAM'
#!/bin/sh
# Keep the configuration, and owner and mode of data and configuration, as they are now: /var/backups/site.
set -eu
umask 077
mkdir -p /var/backups/site
for path in /etc/orders /etc/nginx /etc/names /etc/postgresql /etc/resolv.conf; do
  [ ! -e "$path" ] || echo "$path"
done | xargs tar --create --absolute-names --file=/var/backups/site/configuration.tar
for path in /srv/* /etc/orders /etc/nginx /var/log/orders; do
  [ ! -e "$path" ] || find "$path" -xdev -maxdepth 2 ! -type l -printf '%m %u %g %p\n'
done >/var/backups/site/permissions
PROGRAM
chmod 755 /usr/local/sbin/site-snapshot
echo '17 3 * * * root /usr/local/sbin/site-snapshot' >/etc/cron.d/site-snapshot
site-snapshot
