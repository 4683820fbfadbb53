if grep --quiet '^port = 5423$' /etc/orders/orders.ini; then
  sed -i 's/^port = 5423$/port = 5432/' /etc/orders/orders.ini
  systemctl restart orders.service
fi
