rm -f /etc/cron.d/orders-report
pids=$(pgrep --full 'sum\(range\(100000\)\)' || true)
[ -z "$pids" ] || kill $pids
rm -f /usr/local/sbin/orders-report
