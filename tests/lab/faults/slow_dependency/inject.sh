# An import of new stock holds the lock on the stock's file nearly all the time.
systemctl is-active --quiet stock-import.service || systemd-run --quiet --unit=stock-import --property=RuntimeMaxSec=600 \
  /bin/sh -c 'while :; do flock --exclusive /srv/stock/stock.json sleep 3.5; sleep 0.02; done'
