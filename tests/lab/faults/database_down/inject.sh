# The database's first process dies, as by a bug in it: PostgreSQL ends, and nobody starts it again.
kill -KILL "$(head -n 1 /var/lib/postgresql/15/main/postmaster.pid)"
