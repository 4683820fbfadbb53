# Prometheus and Alertmanager, which look at all hosts.
here=/opt/lab/tests/lab/hosts/monitoring
cp "$here/prometheus.yml" "$here/alertmanager.yml" /etc/prometheus/
install -D -m 644 "$here/shop.rules.yml" /etc/prometheus/rules.d/shop.yml
echo 'ARGS="--web.enable-lifecycle"' >/etc/default/prometheus
echo 'ARGS="--cluster.listen-address="' >/etc/default/prometheus-alertmanager
systemctl enable --quiet --now prometheus.service prometheus-alertmanager.service
for port in 9090 9093; do
  curl --silent --fail --output /dev/null --retry 30 --retry-delay 1 --retry-all-errors "http://127.0.0.1:$port/-/ready"
done
