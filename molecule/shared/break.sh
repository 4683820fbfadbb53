#!/bin/sh
# Lay the shop out and start it; customers order from release 41, then from release $1: 42 breaks.
set -eu
shop=/opt/lab/demo/shop
order() {
  curl --silent --output /dev/null --write-out '%{http_code}\n' \
    --data '{"sku": "mug", "quantity": 1}' http://127.0.0.1:8000/checkout
}
ready() {
  for _ in $(seq 600); do
    if curl --silent --output /dev/null http://127.0.0.1:8000/orders/count; then return; fi
    sleep 0.1
  done
  echo 'the shop does not come up' >&2
  exit 1
}

python3 $shop/deploy.py lay-out --root /srv/shop
systemctl daemon-reload
systemctl start shop.service
python3 $shop/control.py start worker --root /srv/shop
ready
for _ in 1 2 3 4 5; do [ "$(order)" = 201 ]; done
python3 $shop/deploy.py switch --root /srv/shop "$1"
systemctl restart shop.service
ready
[ "$1" = 41 ] || for _ in 1 2 3; do [ "$(order)" = 500 ]; done
