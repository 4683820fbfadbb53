#!/bin/sh
# Let Debian's Prometheus watch the shop, with no rules yet. What it measures is gone when it stops.
set -eu
install -d -m 755 /etc/prometheus/rules.d /etc/systemd/system/prometheus.service.d
cat >/etc/prometheus/shop.yml <<'CONFIG'
global: {scrape_interval: 1s}
rule_files: [/etc/prometheus/rules.d/*.yml]
scrape_configs:
  - job_name: shop
    static_configs:
      - targets: ["127.0.0.1:8000"]
CONFIG
cat >/etc/systemd/system/prometheus.service.d/shop.conf <<'UNIT'
[Service]
RuntimeDirectory=prometheus
ExecStart=
ExecStart=/usr/bin/prometheus --config.file=/etc/prometheus/shop.yml --storage.tsdb.path=/run/prometheus \
  --web.listen-address=127.0.0.1:9090 --web.enable-lifecycle
UNIT
systemctl daemon-reload
systemctl start prometheus.service
curl --silent --fail --output /dev/null --retry 60 --retry-delay 1 --retry-all-errors http://127.0.0.1:9090/-/ready
