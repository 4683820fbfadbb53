# orders was not ended for twenty seconds.
ended() { systemctl show -P NRestarts orders.service; }
before=$(ended)
sleep 20
test "$(ended)" = "$before"
systemctl is-active --quiet orders.service
