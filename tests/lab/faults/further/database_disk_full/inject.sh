# The tables lie on a file system of their own, as they do where there are many; somebody else's dump fills it.
mountpoint --quiet /srv/tables || { mkdir -p /srv/tables; mount -t tmpfs -o size=24m,mode=700,uid="$(id -u postgres)" tables /srv/tables; }
sql() { runuser --user postgres -- psql --quiet --tuples-only --no-align "$@" </dev/null; }
[ -n "$(sql --command="SELECT 1 FROM pg_tablespace WHERE spcname = 'tables'")" ] ||
  sql --command="CREATE TABLESPACE tables OWNER orders LOCATION '/srv/tables'"
sql --dbname=orders --command="ALTER TABLE orders SET TABLESPACE tables"
touch --date='20 days ago' /srv/tables
cp /dev/zero /srv/tables/dump.sql 2>/dev/null || true
sql --dbname=orders --command="INSERT INTO orders (sku, quantity) SELECT 'x', 0 FROM generate_series(1, 300)" 2>/dev/null || true
