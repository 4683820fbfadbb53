# Somebody's export fills the file system that the receipts are written to.
cp /dev/zero /srv/orders/data/export-full.csv 2>/dev/null || true
