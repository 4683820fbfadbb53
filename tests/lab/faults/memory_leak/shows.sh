test $(systemctl show -P NRestarts orders.service) -ge 2
