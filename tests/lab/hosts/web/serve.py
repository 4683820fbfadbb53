"""Run the shop's current release on every address of its container: on loopback, nobody outside would reach it.

Beside its own metrics it tells how long requests took, as a histogram of Prometheus.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections import Counter, defaultdict
from typing import Any

sys.path.insert(0, "/srv/shop/current")
import app

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
TOOK: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0])  # of each path: all seconds, and requests
WITHIN: Counter[tuple[str, float]] = Counter()
COUNTING = threading.Lock()


class Handler(app.Handler):
    """The shop's own requests, timed."""

    def _serve(self, routes: dict[str, Any]) -> None:
        began = time.monotonic()
        super()._serve(routes)
        took = time.monotonic() - began
        path = self.path.partition("?")[0]
        known = path if path in routes else "other"
        with COUNTING:
            TOOK[known] = [TOOK[known][0] + took, TOOK[known][1] + 1]
            WITHIN.update((known, limit) for limit in BUCKETS if took <= limit)

    def _metrics(self) -> tuple[int, str]:
        status, text = super()._metrics()
        name = "shop_request_duration_seconds"
        lines = [f"# TYPE {name} histogram"]
        with COUNTING:
            for path, (seconds, count) in sorted(TOOK.items()):
                lines += [f'{name}_bucket{{path="{path}",le="{le}"}} {WITHIN[path, le]}' for le in BUCKETS]
                lines += [f'{name}_bucket{{path="{path}",le="+Inf"}} {count}']
                lines += [f'{name}_sum{{path="{path}"}} {seconds}', f'{name}_count{{path="{path}"}} {count}']
        return status, text + "\n".join(lines) + "\n"


class Server(app.Server):
    """The shop's own server, but for the address."""

    address_family = socket.AF_INET6  # which takes IPv4 too

    def server_bind(self) -> None:
        """Bind the port on every address."""
        self.server_address = ("::", self.server_address[1])
        super().server_bind()


app.Handler = Handler
app.Server = Server
app.main()
