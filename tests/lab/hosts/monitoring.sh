# Prometheus and Alertmanager, which look at all hosts; and the inbox of those who are told about an incident.
here=/opt/lab/tests/lab/hosts/monitoring
cp "$here/prometheus.yml" "$here/alertmanager.yml" /etc/prometheus/
install -D -m 644 "$here/shop.rules.yml" /etc/prometheus/rules.d/shop.yml
echo 'ARGS="--web.enable-lifecycle"' >/etc/default/prometheus
echo 'ARGS="--cluster.listen-address="' >/etc/default/prometheus-alertmanager
cat >/etc/systemd/system/inbox.service <<UNIT
[Unit]
Description=What on-call, customers, partners and the tracker are told

[Service]
ExecStart=/usr/bin/python3 $here/inbox.py
DynamicUser=yes

[Install]
WantedBy=multi-user.target
UNIT
systemctl enable --quiet --now inbox.service prometheus.service prometheus-alertmanager.service
for ready in 9090/-/ready 9093/-/ready 8025/; do
  curl --silent --fail --output /dev/null --retry 30 --retry-delay 1 --retry-all-errors "http://127.0.0.1:$ready"
done
