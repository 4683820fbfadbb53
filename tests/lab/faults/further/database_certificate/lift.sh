cd /etc/postgresql/15/main
rm -f db.key db.pem conf.d/tls.conf
systemctl restart postgresql@15-main.service
