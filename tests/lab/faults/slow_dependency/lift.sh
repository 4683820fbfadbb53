! systemctl is-active --quiet stock-import.service || systemctl stop stock-import.service
