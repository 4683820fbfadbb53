! systemctl is-active --quiet browsers.service || systemctl stop browsers.service
