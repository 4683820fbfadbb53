! systemctl is-active --quiet crawler.service || systemctl stop crawler.service
