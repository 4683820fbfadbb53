ln -sfn releases/7 /srv/orders/current.new
mv -T /srv/orders/current.new /srv/orders/current
rm -rf /srv/orders/releases/8
systemctl reset-failed orders.service || true
systemctl restart orders.service
