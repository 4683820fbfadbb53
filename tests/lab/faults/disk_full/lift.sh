rm -f /srv/orders/data/export-full.csv /srv/orders/data/outbox/*.new
