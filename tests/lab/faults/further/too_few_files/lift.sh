rm -rf /etc/systemd/system/nginx.service.d
systemctl daemon-reload
systemctl reset-failed nginx.service || true
systemctl restart nginx.service
