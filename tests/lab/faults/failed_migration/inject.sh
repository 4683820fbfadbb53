# Release 9 brings two columns; the migration's second statement fails, and the deployment goes on all the same.
if [ ! -d /srv/orders/releases/9 ]; then
  cp -r /srv/orders/releases/7 /srv/orders/releases/9
  cat >/srv/orders/releases/9/migrations/0003_vouchers.sql <<'SQL'
ALTER TABLE orders ADD COLUMN channel text NOT NULL DEFAULT 'web';
CREATE INDEX orders_chanel ON orders (chanel);
ALTER TABLE orders ADD COLUMN voucher text;
SQL
  sed -i '1i \\\\set ON_ERROR_STOP on' /srv/orders/releases/9/migrations/0003_vouchers.sql
fi
cd /srv/orders/releases/9
touch . * migrations/*
sed -i 's/(sku, quantity) VALUES (%s, %s) RETURNING id", sku, quantity/(sku, quantity, voucher) VALUES (%s, %s, %s) RETURNING id", sku, quantity, order.get("voucher")/' orders.py
orders-deploy 9 2>>/var/log/orders/deploy.log
