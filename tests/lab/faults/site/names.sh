# The site's own zone, lab.internal, and customers who order all day long.
here=$(dirname "$0")
install -d /etc/names
cat >/etc/names/dnsmasq.conf <<'CONFIG'
no-resolv
no-hosts
no-poll
listen-address=10.213.77.41
bind-interfaces
local=/lab.internal/
host-record=db.lab.internal,10.213.77.21
host-record=stock.lab.internal,10.213.77.12
host-record=shop.lab.internal,10.213.77.11
CONFIG
cat >/etc/systemd/system/names.service <<'UNIT'
[Unit]
Description=Names of lab.internal

[Service]
ExecStart=/usr/sbin/dnsmasq --keep-in-foreground --conf-file=/etc/names/dnsmasq.conf
Restart=on-failure

[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable --quiet --now names.service
