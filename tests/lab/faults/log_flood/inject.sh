# An order with an address that cannot be mailed to: the mailer tries again at once, for ever, and logs each time.
python3 - <<'PYTHON'
import json
import urllib.request

order = json.dumps({"sku": "mug", "quantity": 1, "mail_to": "nobody"}).encode()
urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:8100/orders", order), timeout=10)
PYTHON
