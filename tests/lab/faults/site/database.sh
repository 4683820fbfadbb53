# A database for the orders, and as many connections as a small machine has.
cat >/etc/postgresql/15/main/conf.d/orders.conf <<'CONFIG'
max_connections = 40
log_min_messages = warning
CONFIG
grep --quiet 10.213.77.0 /etc/postgresql/15/main/pg_hba.conf ||
  echo 'host all all 10.213.77.0/24 trust' >>/etc/postgresql/15/main/pg_hba.conf
systemctl restart postgresql@15-main.service
as_postgres() { runuser --user postgres -- "$@"; }
for name in orders reporting; do
  as_postgres psql --quiet --command="DO 'BEGIN CREATE ROLE $name LOGIN; EXCEPTION WHEN duplicate_object THEN END'"
done
as_postgres psql --quiet --tuples-only --command="SELECT 1 FROM pg_database WHERE datname = 'orders'" | grep --quiet 1 ||
  as_postgres createdb --owner=orders orders
