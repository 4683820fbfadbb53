cd /etc/nginx/tls
if [ -f front.valid ]; then
  mv front.valid front.pem
  systemctl reload nginx.service
fi
