# orders was not ended for twenty seconds, and does not take ever more memory: on a busy machine it is ended less often.
ended() { systemctl show -P NRestarts orders.service; }
kilobytes() { ps -o rss= -p "$(systemctl show -P MainPID orders.service)"; }
before=$(ended)
had=$(kilobytes)
sleep 20
test "$(ended)" = "$before"
systemctl is-active --quiet orders.service
grown=$(($(kilobytes) - had))
echo "orders grew by $grown kB in 20 s" >&2
test "$grown" -lt 10000
