[ "$(readlink /srv/orders/current)" = releases/7 ] || orders-deploy 7
rm -rf /srv/orders/releases/8
