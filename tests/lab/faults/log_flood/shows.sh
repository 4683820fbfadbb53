# Not when customers notice: on a busy machine it takes minutes until the disk is full.
test $(stat --format=%s /var/log/orders/orders.log) -gt 10000000
