# A report opens a connection for each customer and closes none of them: all that PostgreSQL gives.
systemctl is-active --quiet reporting.service || systemd-run --quiet --unit=reporting --property=RuntimeMaxSec=900 \
  /usr/bin/python3 -c '
import psycopg2, time
held = []
while True:
    try:
        held.append(psycopg2.connect(host="10.213.77.21", dbname="orders", user="reporting", application_name="reporting"))
    except psycopg2.OperationalError:
        time.sleep(0.2)
'
