rm -rf /etc/systemd/system/stock.service.d /usr/local/sbin/stock-limit
if [ -f /root/stock.before ]; then
  cp --preserve /root/stock.before /srv/stock/stock.py
  rm /root/stock.before
  systemctl daemon-reload
  systemctl reset-failed stock.service || true
  systemctl restart stock.service
fi
