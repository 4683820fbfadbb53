# A crawler searches for ever new words; the service keeps each answer in memory, until the kernel ends it, and again.
systemctl is-active --quiet crawler.service || systemd-run --quiet --unit=crawler --property=RuntimeMaxSec=600 \
  /usr/bin/python3 -c '
import http.client, itertools, time
for number in itertools.count():
    try:
        link = http.client.HTTPConnection("10.213.77.31", 8100, timeout=5)
        link.request("GET", f"/search?q=word-{number}" + "x" * 60000)
        link.getresponse().read()
        link.close()
    except (OSError, http.client.HTTPException):
        time.sleep(0.5)
    time.sleep(0.005)
'
