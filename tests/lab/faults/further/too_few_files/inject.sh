# Somebody means to harden nginx, and gives it far too few open files.
mkdir -p /etc/systemd/system/nginx.service.d
printf '[Service]\nLimitNOFILE=24\n' >/etc/systemd/system/nginx.service.d/limits.conf
systemctl daemon-reload
systemctl restart nginx.service
