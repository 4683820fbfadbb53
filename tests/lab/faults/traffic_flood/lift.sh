! systemctl is-active --quiet flood.service || systemctl stop flood.service
ip address delete 10.213.77.200/24 dev eth0 2>/dev/null || true
