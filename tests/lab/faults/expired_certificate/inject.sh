# The certificate of the shop's door ran out yesterday. As with every one that does, no file changed for it.
cd /etc/nginx/tls
[ -f /root/front.valid ] || cp --preserve front.pem /root/front.valid  # a second file there would be news
faketime '366 days ago' openssl x509 -req -in front.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 365 \
  -extfile front.ext -out front.pem 2>/dev/null
touch --date='366 days ago' front.pem ca.srl .
systemctl reload nginx.service
