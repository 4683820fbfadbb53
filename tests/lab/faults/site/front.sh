# The shop's door: nginx with TLS on port 8443, before the orders. A certificate of the site's own authority, for a year.
install -d -m 700 /etc/nginx/tls
cd /etc/nginx/tls
if [ ! -f front.pem ]; then
  openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=Lab authority" -keyout ca.key -out ca.pem 2>/dev/null
  openssl req -new -newkey rsa:2048 -nodes -subj "/CN=shop.lab.internal" -keyout front.key -out front.csr 2>/dev/null
  echo "subjectAltName=DNS:shop.lab.internal" >front.ext
  openssl x509 -req -in front.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 365 -extfile front.ext -out front.pem 2>/dev/null
fi
install -m 644 ca.pem /usr/local/share/lab-ca.pem
cat >/etc/nginx/nginx.conf <<'CONFIG'
user www-data;
worker_processes 1;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log warn;
events { worker_connections 512; }
http {
  access_log /var/log/nginx/access.log;
  keepalive_timeout 20;
  upstream orders {
    server 10.213.77.31:8100 max_fails=0;
    server 10.213.77.12:8100 max_fails=0;
  }
  server {
    listen 8443 ssl;
    server_name shop.lab.internal;
    ssl_certificate tls/front.pem;
    ssl_certificate_key tls/front.key;
    location / {
      proxy_pass http://orders;
      proxy_connect_timeout 2s;
      proxy_read_timeout 15s;
    }
  }
}
CONFIG
systemctl enable --quiet nginx.service
systemctl restart nginx.service
