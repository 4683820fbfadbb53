# The service that takes orders, release 7, on port 8100. What it writes lies on small file systems of its own.
here=$(dirname "$0")
id orders >/dev/null 2>&1 || useradd --system --home-dir /srv/orders --shell /usr/sbin/nologin orders
install -d /srv/orders/releases /srv/orders/data /var/log/orders /etc/orders
mountpoint --quiet /srv/orders/data || mount -t tmpfs -o size=16m,nr_inodes=2000,mode=755,uid="$(id -u orders)" orders-data /srv/orders/data
mountpoint --quiet /var/log/orders || mount -t tmpfs -o size=24m,mode=755,uid="$(id -u orders)" orders-logs /var/log/orders
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
ExecStartPost=+/usr/local/sbin/orders-limit $MAINPID
Restart=always
RestartSec=1
MemoryMax=96M

[Install]
WantedBy=multi-user.target
UNIT
# Where systemd has no say over memory, as in a container on cgroups of version 1, the same limit by hand.
cat >/usr/local/sbin/orders-limit <<'PROGRAM'
#!/bin/sh
set -eu
group=/sys/fs/cgroup/memory/system.slice/orders.service
[ -d /sys/fs/cgroup/memory ] || exit 0
mkdir -p "$group"
echo 96M >"$group/memory.limit_in_bytes"
echo "$1" >"$group/cgroup.procs"
PROGRAM
chmod 755 /usr/local/sbin/orders-limit
systemctl daemon-reload
systemctl enable --quiet orders.service
systemctl enable --quiet --now cron.service
orders-deploy 7 >/dev/null
