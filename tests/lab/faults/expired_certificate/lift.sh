cd /etc/nginx/tls
if [ -f /root/front.valid ]; then
  mv /root/front.valid front.pem
  systemctl reload nginx.service
fi
