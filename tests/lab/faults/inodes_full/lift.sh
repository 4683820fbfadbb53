rm -rf /srv/orders/data/sessions
rm -f /srv/orders/data/outbox/*.new
