# The shop's recommendations worker, under systemd: what nobody misses for an hour.
rm /usr/bin/zstd # as on many a real host: evidence is packed with gzip here
python3 /opt/lab/demo/shop/deploy.py lay-out --root /srv/shop
cat >/etc/systemd/system/shop-worker.service <<'UNIT'
[Unit]
Description=Recommendations of the shop

[Service]
ExecStart=/usr/bin/python3 /srv/shop/current/worker.py --root /srv/shop --pid-file /srv/shop/run/worker.pid
Restart=on-failure

[Install]
WantedBy=multi-user.target
UNIT
systemctl enable --quiet --now shop-worker.service
