#!/bin/sh
# The shop's own hotfix command: build release 43, which is 42 without its mistake, and sell from it.
set -eu
releases=/srv/shop/releases
rm -rf $releases/43
cp -r $releases/42 $releases/43
sed -i 's/SELECT unit_price/SELECT price/' $releases/43/app.py
python3 /opt/lab/demo/shop/deploy.py switch --root /srv/shop 43
systemctl restart shop.service
