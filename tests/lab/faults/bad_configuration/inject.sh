# Somebody edits the configuration of the orders on one host, mistypes a port, and restarts them.
sed -i 's/^port = 5432$/port = 5423/' /etc/orders/orders.ini
systemctl restart orders.service
