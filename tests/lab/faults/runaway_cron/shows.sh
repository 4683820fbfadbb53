test $(pgrep --full --count [/]usr/local/sbin/orders-report) -ge 1
