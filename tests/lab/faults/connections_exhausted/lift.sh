! systemctl is-active --quiet reporting.service || systemctl stop reporting.service
