# Somebody looks into the table by hand, locks it, and goes for lunch.
systemctl is-active --quiet lunch.service || systemd-run --quiet --unit=lunch --property=RuntimeMaxSec=900 \
  /usr/bin/python3 -c '
import psycopg2, time
link = psycopg2.connect(host="10.213.77.21", dbname="orders", user="orders", application_name="psql")
link.cursor().execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
time.sleep(900)
'
