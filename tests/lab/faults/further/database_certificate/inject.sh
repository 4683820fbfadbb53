# A certificate of db.lab.internal that ran out yesterday; as with every one that does, no file changed for it.
cd /etc/postgresql/15/main
faketime '366 days ago' openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=db.lab.internal \
  -addext subjectAltName=DNS:db.lab.internal -keyout db.key -out db.pem 2>/dev/null
chown postgres db.key db.pem
chmod 600 db.key
printf "ssl = on\nssl_cert_file = '/etc/postgresql/15/main/db.pem'\nssl_key_file = '/etc/postgresql/15/main/db.key'\n" >conf.d/tls.conf
touch --date='366 days ago' db.key db.pem conf.d/tls.conf conf.d .
systemctl reload postgresql@15-main.service
