# The service that takes orders, release 7, on port 8100. What it writes lies on small file systems of its own.
here=$(dirname "$0")
id orders >/dev/null 2>&1 || useradd --system --home-dir /srv/orders --shell /usr/sbin/nologin orders
install -d /srv/orders/releases /srv/orders/data /var/log/orders /etc/orders
mountpoint --quiet /srv/orders/data || mount -t tmpfs -o size=16m,nr_inodes=2000,mode=750,uid="$(id -u orders)" orders-data /srv/orders/data
mountpoint --quiet /var/log/orders || mount -t tmpfs -o size=64m,mode=750,uid="$(id -u orders)" orders-logs /var/log/orders
install -d -o orders /srv/orders/data/outbox
[ -d /srv/orders/releases/7 ] || cp -r "$here/orders" /srv/orders/releases/7
install -m 755 "$here/orders/deploy.sh" /usr/local/sbin/orders-deploy
cat >/etc/orders/orders.ini <<'CONFIG'
[orders]
port = 8100
data = /srv/orders/data
logs = /var/log/orders

[database]
host = db.lab.internal
port = 5432
name = orders
user = orders

[stock]
url = http://stock.lab.internal:8200
timeout = 8
CONFIG
cat >/etc/systemd/system/orders.service <<'UNIT'
[Unit]
Description=Orders
After=network-online.target

[Service]
User=orders
ExecStart=/usr/bin/python3 /srv/orders/current/orders.py
Restart=always
RestartSec=1
MemoryMax=96M

[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable --quiet orders.service
orders-deploy 7 >/dev/null
