# PostgreSQL with the shop's long memory: orders of years, which a backup has to bring back.
rm /usr/bin/zstd # as on many a real host: evidence is packed with gzip here
here=/opt/lab/tests/lab/hosts/db
echo "listen_addresses = '*'" >/etc/postgresql/15/main/conf.d/lab.conf
systemctl enable --quiet --now postgresql.service
runuser --user postgres -- createdb shop
runuser --user postgres -- psql --quiet --set=ON_ERROR_STOP=1 --file="$here/shop.sql" shop
