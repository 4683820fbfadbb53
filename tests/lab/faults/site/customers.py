"""Customers of the shop: four orders a second over TLS, for ever. The last hundred answers stand in a file.

customers.py FILE: each line is `seconds since the epoch, status or what went wrong, seconds that it took`.
"""

from __future__ import annotations

import json
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from pathlib import Path

ADDRESS, AUTHORITY = "https://shop.lab.internal:8443/orders", "/usr/local/share/lab-ca.pem"
EVERY_S, PATIENCE_S, AT_ONCE = 0.25, 6.0, 30
ORDER = json.dumps({"sku": "coffee-1kg", "quantity": 1, "mail_to": "ann@example.org"}).encode()
SEEN: deque[str] = deque(maxlen=100)
ROOM = threading.Semaphore(AT_ONCE)


def order(place: Path) -> None:
    """Order once, and write down how it went."""
    began = time.time()
    try:
        trust = ssl.create_default_context(cafile=AUTHORITY)
        with urllib.request.urlopen(
            urllib.request.Request(ADDRESS, ORDER), timeout=PATIENCE_S, context=trust
        ) as answer:
            said = str(answer.status)
    except urllib.error.HTTPError as error:
        said = str(error.code)
    except OSError as error:
        said = type(getattr(error, "reason", error)).__name__
    SEEN.append(f"{began:.1f} {said} {time.time() - began:.2f}")
    draft = place.with_suffix(f".{threading.get_ident()}")
    draft.write_text("\n".join(list(SEEN)) + "\n")
    draft.replace(place)
    ROOM.release()


if __name__ == "__main__":
    while True:
        if ROOM.acquire(timeout=PATIENCE_S):
            threading.Thread(target=order, args=(Path(sys.argv[1]),), daemon=True).start()
        time.sleep(EVERY_S)
