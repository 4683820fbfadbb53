#!/bin/sh
# Take away all that prepare.yml and the roles laid out, wherever a run ended.
set -eu
systemctl stop shop.service 2>/dev/null || true
if [ -d /srv/shop ]; then python3 /opt/lab/demo/shop/control.py stop worker --root /srv/shop; fi
rm -rf /etc/systemd/system/shop.service /srv/shop /var/lib/incidentctl /run/incidentctl /var/backups/incidentctl
systemctl daemon-reload
systemctl reset-failed
