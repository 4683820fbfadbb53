"""Deploy a release of the shop to the lab's web servers, over ssh, and have a few customers order from it.

deploy.py 42 breaks the checkout; deploy.py 41 repairs it. Nobody looks at its health: that is the story.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import time
from collections import Counter
from contextlib import closing

from lab import HOSTS, REPOSITORY, ssh
from machine import LabError, run

RELEASES = REPOSITORY / "demo" / "shop" / "releases"
WEB = [name for name, host in HOSTS.items() if host.role == "web"]
PORT = 8000
CART = {"sku": "coffee-1kg", "quantity": 1}
START_S = 30  # seconds the shop may take until it answers at all


def deploy(release: str, name: str) -> None:
    """Install a release on a web server and restart the shop with it. Raise LabError if it does not answer then."""
    archive = run("tar", "--create", f"--directory={RELEASES}", release).stdout
    ssh(name, "sudo tar --extract --touch --no-same-owner --directory=/srv/shop/releases", feed=archive)
    ssh(name, f"sudo python3 /opt/lab/demo/shop/deploy.py switch --root /srv/shop {release}")
    restart(name)


def restart(name: str) -> None:
    """Restart the shop of a web server. Raise LabError if it does not answer then."""
    ssh(name, "sudo systemctl restart shop.service")
    deadline = time.monotonic() + START_S
    while not answers(name):
        if time.monotonic() > deadline:
            raise LabError(f"{name}: the shop does not answer.\nFix: ssh to it and see journalctl -u shop.service")
        time.sleep(0.2)


def ask(name: str, method: str, path: str, body: object = None) -> int:
    """Send a web server's shop one request; return the status. Raise OSError if there is no answer."""
    with closing(http.client.HTTPConnection(HOSTS[name].addresses[0], PORT, timeout=5)) as connection:
        connection.request(method, path, None if body is None else json.dumps(body))
        return connection.getresponse().status


def answers(name: str) -> bool:
    """Say whether the shop of a web server answers, whatever it says."""
    try:
        ask(name, "GET", "/health")
    except (OSError, http.client.HTTPException):
        return False
    return True


def checkouts(name: str, number: int) -> Counter[int]:
    """Have so many customers order from a web server; return how often each status was the answer."""
    return Counter(ask(name, "POST", "/checkout", CART) for _customer in range(number))


def main() -> int:
    """Deploy to all web servers, then order from each; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("release", choices=sorted(path.name for path in RELEASES.iterdir()))
    parser.add_argument("--checkouts", type=int, default=20, help="customers for each web server (20)")
    options = parser.parse_args()
    try:
        for name in WEB:
            deploy(options.release, name)
            seen = checkouts(name, options.checkouts)
            said = ", ".join(f"{count} × {status}" for status, count in sorted(seen.items()))
            print(f"{name}: release {options.release}; checkouts: {said}", flush=True)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
