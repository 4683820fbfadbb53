rm -f /srv/orders/data/export-full.csv
