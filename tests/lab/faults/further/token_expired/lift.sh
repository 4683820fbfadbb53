if [ -f /root/stock.before ]; then
  cp --preserve /root/stock.before /srv/stock/stock.py
  rm /root/stock.before
  systemctl restart stock.service
fi
