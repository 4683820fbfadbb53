sql() { runuser --user postgres -- psql --quiet --tuples-only --no-align "$@" </dev/null; }
rm -f /srv/tables/dump.sql
if mountpoint --quiet /srv/tables; then
  sql --dbname=orders --command="ALTER TABLE orders SET TABLESPACE pg_default"
  sql --command="DROP TABLESPACE IF EXISTS tables"
  umount /srv/tables
  rmdir /srv/tables
fi
