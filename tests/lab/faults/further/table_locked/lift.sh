! systemctl is-active --quiet lunch.service || systemctl stop lunch.service
