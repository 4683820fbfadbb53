systemctl stop orders.service
rm -f /srv/orders/data/outbox/*.json
: >/var/log/orders/orders.log
systemctl start orders.service
