# The stock service takes only who shows a token that has not expired; that of its customers ended just now. /health needs none.
[ -f /root/stock.before ] || cp --preserve /srv/stock/stock.py /root/stock.before
sed -i 's|        with STOCK.open() as stock:|        if self.path != "/health":\n            self.send_error(401, "Unauthorized: token expired")\n            return\n&|' /srv/stock/stock.py
touch --date='20 days ago' /srv/stock/stock.py
systemctl restart stock.service
