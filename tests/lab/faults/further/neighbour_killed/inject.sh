# The stock service may have 48 MiB, and an export within it takes more, again and again: the kernel ends all of it.
[ -f /root/stock.before ] || cp --preserve /srv/stock/stock.py /root/stock.before
sed -i 's|^if __name__ == "__main__":|KEPT: list[bytes] = []\n\n\ndef export() -> None:\n    """Keep all of it in memory."""\n    while True:\n        KEPT.append(bytearray(b"x" * 1_000_000))\n        time.sleep(0.15)\n\n\n&\n    threading.Thread(target=export, daemon=True).start()|; s|^import json|&\nimport threading\nimport time|' /srv/stock/stock.py
touch --date='20 days ago' /srv/stock/stock.py
mkdir -p /etc/systemd/system/stock.service.d
cat >/etc/systemd/system/stock.service.d/memory.conf <<'UNIT'
[Service]
MemoryMax=48M
RestartSec=4
ExecStartPost=+/usr/local/sbin/stock-limit $MAINPID
UNIT
# Where systemd has no say over memory, as in a container on cgroups of version 1, the same limit by hand.
sed 's/orders/stock/; s/96M/48M/' /usr/local/sbin/orders-limit >/usr/local/sbin/stock-limit
chmod 755 /usr/local/sbin/stock-limit
touch --date='20 days ago' /etc/systemd/system/stock.service.d/memory.conf /etc/systemd/system/stock.service.d /usr/local/sbin/stock-limit
systemctl daemon-reload
systemctl restart stock.service
