# Release 8: points for regular customers, computed from what an order does not have. Deployed to one host after the other.
[ -d /srv/orders/releases/8 ] || cp -r /srv/orders/releases/7 /srv/orders/releases/8
cd /srv/orders/releases/8
touch . *
sed -i 's/^    return receipt$/    return {**receipt, "points": quantity * int(order["price"]) \/\/ 100}/' orders.py
orders-deploy 8
