! dpkg --status orders-tools >/dev/null 2>&1 || dpkg --purge orders-tools >/dev/null
chown -R orders:root /srv/orders/data
chmod 755 /srv/orders/data
# Its mailer ended when it could not read the outbox.
systemctl restart orders.service
