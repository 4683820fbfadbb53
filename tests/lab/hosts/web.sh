# The shop of release 41 in a container, published on port 8000 of both address families.
here=/opt/lab/tests/lab/hosts/web
python3 /opt/lab/demo/shop/deploy.py lay-out --root /srv/shop
cp "$here/compose.yml" "$here/serve.py" /srv/shop/
install -m 755 "$here/hotfix.sh" /srv/shop/
cp "$here/shop.service" /etc/systemd/system/
podman import --quiet /opt/python.tar localhost/python >/dev/null
podman network create --ipv6 --subnet 10.213.78.0/24 --subnet fd1c:7e4b:9a21::/64 shop >/dev/null
systemctl enable --quiet --now shop.service
curl --silent --fail --output /dev/null --retry 30 --retry-delay 1 --retry-all-errors http://127.0.0.1:8000/health
