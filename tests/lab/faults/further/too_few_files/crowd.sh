# Customers who keep a page open, as browsers do: forty connections, of which each is held for some seconds.
systemctl is-active --quiet browsers.service || systemd-run --quiet --unit=browsers --property=RuntimeMaxSec=600 \
  /usr/bin/python3 -c '
import socket, ssl, time
trust = ssl.create_default_context(cafile="/usr/local/share/lab-ca.pem")
held = []
while True:
    try:
        link = trust.wrap_socket(socket.create_connection(("shop.lab.internal", 8443), timeout=2), server_hostname="shop.lab.internal")
        held.append(link)
    except OSError:
        time.sleep(0.2)
    while len(held) > 40:
        held.pop(0).close()
    time.sleep(0.1)
'
