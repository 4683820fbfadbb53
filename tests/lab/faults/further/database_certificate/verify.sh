# The orders verify whom they talk to, and always did.
openssl s_client -starttls postgres -connect db.lab.internal:5432 </dev/null 2>/dev/null | openssl x509 >/usr/local/share/db-ca.pem
mkdir -p /etc/systemd/system/orders.service.d
printf '[Service]\nEnvironment=PGSSLMODE=verify-full PGSSLROOTCERT=/usr/local/share/db-ca.pem\n' >/etc/systemd/system/orders.service.d/tls.conf
touch --date='366 days ago' /usr/local/share/db-ca.pem /etc/systemd/system/orders.service.d/tls.conf /etc/systemd/system/orders.service.d
systemctl daemon-reload
systemctl restart orders.service
