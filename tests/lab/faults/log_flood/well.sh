# The log grows no faster than its orders, and its disk has room.
before=$(stat --format=%s /var/log/orders/orders.log)
sleep 2
grown=$(($(stat --format=%s /var/log/orders/orders.log) - before))
echo "the log grew by $grown bytes in 2 s" >&2
test "$grown" -lt 20000
test "$(df --output=pcent /var/log/orders | tail -n 1 | tr -dc 0-9)" -lt 90
