# The stock service, on port 8200.
here=$(dirname "$0")
id stock >/dev/null 2>&1 || useradd --system --home-dir /srv/stock --shell /usr/sbin/nologin stock
install -d /srv/stock
install -m 644 "$here/stock.py" /srv/stock/
echo '{"coffee-1kg": 100000, "tea-100g": 100000, "mug": 100000}' >/srv/stock/stock.json
cat >/etc/systemd/system/stock.service <<'UNIT'
[Unit]
Description=Stock of all articles

[Service]
User=stock
ExecStart=/usr/bin/python3 /srv/stock/stock.py
Restart=always

[Install]
WantedBy=multi-user.target
UNIT
chown -R stock /srv/stock
systemctl daemon-reload
systemctl enable --quiet stock.service
systemctl restart stock.service
