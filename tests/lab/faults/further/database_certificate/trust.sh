rm -rf /etc/systemd/system/orders.service.d /usr/local/share/db-ca.pem
systemctl daemon-reload
systemctl restart orders.service
