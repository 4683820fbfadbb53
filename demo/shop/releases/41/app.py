"""The shop: sells products out of a SQLite database, over HTTP on the loopback address."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sqlite3
import sys
import threading
import time
import traceback
from collections import Counter
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

RELEASE = Path(__file__).resolve().parent.name
CANARY = {"sku": "coffee-1kg", "quantity": 1}
BEST_SELLER = "SELECT sku FROM orders GROUP BY sku ORDER BY sum(quantity) DESC, sku LIMIT 1"
BODY_LIMIT = 64 * 1024
LOG = logging.getLogger("shop")


class RefusedError(Exception):
    """A request that asks for what cannot be given: answered with `status` and a reason."""

    def __init__(self, status: int, reason: str) -> None:
        """Keep the HTTP status beside the reason."""
        super().__init__(reason)
        self.status = status


class Shop:
    """What the shop does, free of HTTP. Its data outlives releases: a database, the maintenance flag, the breaker."""

    def __init__(self, data: Path) -> None:
        """Given the data folder, be ready to sell."""
        self._database = data / "shop.db"
        self._flag = data / "maintenance.json"
        self._breaker = data / "recommendations.open"

    def checkout(self, cart: dict[str, Any]) -> dict[str, Any]:
        """Sell {sku, quantity}; return the order's id and its total in cents."""
        if self.maintenance()["mode"] == "enabled":
            raise RefusedError(503, "the shop is in maintenance")
        with closing(self._connect()) as database, database:
            total = price(database, cart)
            order = database.execute(
                "INSERT INTO orders (sku, quantity, total) VALUES (?, ?, ?)",
                (cart["sku"], cart["quantity"], total),
            )
            return {"order": order.lastrowid, "total": total, "release": RELEASE}

    def recommendations(self) -> list[str]:
        """Return what sells best. With the circuit breaker open nothing is looked up: the shop sells without them."""
        if self.breaker()["state"] == "open":
            return []
        with closing(self._connect()) as database:
            return [str(sku) for (sku,) in database.execute(BEST_SELLER)]

    def breaker(self) -> dict[str, str]:
        """Return {state: open or closed} of the circuit breaker before the recommendations; a file, as the flag is."""
        return {"state": "open" if self._breaker.exists() else "closed"}

    def set_breaker(self, wanted: dict[str, Any]) -> dict[str, str]:
        """Given {state: open or closed}, set it; return what then holds."""
        state = wanted.get("state")
        if state not in ("open", "closed"):
            raise RefusedError(400, 'send {"state": "open" or "closed"}')
        if state == "open":
            self._breaker.touch()
        else:
            self._breaker.unlink(missing_ok=True)
        LOG.warning("circuit breaker of the recommendations %s", state)
        return self.breaker()

    def trouble(self) -> str | None:
        """Price a canary cart as checkout does, without selling it; return what went wrong, or None."""
        try:
            with closing(self._connect()) as database:
                price(database, CANARY)
        except Exception as error:  # whatever breaks checkout is what health has to tell
            return _named(error)
        return None

    def orders(self) -> int:
        """Return how many orders there are."""
        with closing(self._connect()) as database:
            return int(database.execute("SELECT count(*) FROM orders").fetchone()[0])

    def maintenance(self) -> dict[str, str]:
        """Return {mode, message}. The flag is a file, so that it holds across restarts and releases."""
        try:
            return dict(json.loads(self._flag.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {"mode": "disabled", "message": ""}

    def set_maintenance(self, wanted: dict[str, Any]) -> dict[str, str]:
        """Given {mode: enabled or disabled, message}, set it; return what then holds."""
        mode, message = wanted.get("mode"), wanted.get("message", "")
        if mode not in ("enabled", "disabled") or not isinstance(message, str):
            raise RefusedError(400, 'send {"mode": "enabled" or "disabled", "message": text}')
        if mode == "disabled":
            self._flag.unlink(missing_ok=True)
        else:
            draft = self._flag.with_suffix(f".{threading.get_ident()}")
            draft.write_text(json.dumps({"mode": mode, "message": message}), encoding="utf-8")
            draft.replace(self._flag)
        LOG.warning("maintenance mode %s", mode)
        return self.maintenance()

    def _connect(self) -> sqlite3.Connection:
        # mode=rw: a missing database is an error, not a new and empty shop.
        return sqlite3.connect(f"{self._database.as_uri()}?mode=rw", uri=True, timeout=5)


def price(database: sqlite3.Connection, cart: dict[str, Any]) -> int:
    """Return what a cart costs, in cents."""
    sku, quantity = cart.get("sku"), cart.get("quantity")
    if not isinstance(sku, str) or type(quantity) is not int or not 1 <= quantity <= 100:
        raise RefusedError(400, 'send {"sku": text, "quantity": 1 to 100}')
    row = database.execute("SELECT price FROM products WHERE sku = ?", (sku,)).fetchone()
    if row is None:
        raise RefusedError(404, f"no such product: {sku}")
    return int(row[0]) * quantity


class Server(ThreadingHTTPServer):
    """The shop behind a port of the loopback address, with its request counters."""

    def __init__(self, port: int, shop: Shop) -> None:
        """Listen at once; `serve_forever` answers."""
        super().__init__(("127.0.0.1", port), Handler)
        self.shop = shop
        self.requests: Counter[tuple[str, int]] = Counter()
        self.counting = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """One request: find the route, answer in JSON (metrics: text), count and log it."""

    server: Server
    timeout = 10  # seconds that a client may take

    def do_GET(self) -> None:
        """Answer a GET."""
        self._serve(
            {
                "/health": self._health,
                "/metrics": self._metrics,
                "/orders/count": lambda: (200, {"orders": self.server.shop.orders()}),
                "/recommendations": lambda: (200, {"products": self.server.shop.recommendations()}),
                "/admin/maintenance-mode": lambda: (200, self.server.shop.maintenance()),
                "/admin/circuit-breakers/recommendations": lambda: (200, self.server.shop.breaker()),
            }
        )

    def do_POST(self) -> None:
        """Answer a POST."""
        self._serve(
            {
                "/checkout": lambda: (201, self.server.shop.checkout(self._body())),
                "/admin/maintenance-mode": lambda: (200, self.server.shop.set_maintenance(self._body())),
                "/admin/circuit-breakers/recommendations": lambda: (200, self.server.shop.set_breaker(self._body())),
            }
        )

    def _serve(self, routes: dict[str, Any]) -> None:
        path = self.path.partition("?")[0]
        try:
            status, body = routes.get(path, _no_such_page)()
        except RefusedError as refusal:
            status, body = refusal.status, {"error": str(refusal)}
        except Exception as error:
            why = _named(error)
            LOG.exception("%s failed: %s", path.strip("/"), why)
            status, body = 500, {"error": "the shop could not do this; its log says why"}
        known = path if path in routes else "other"  # a stranger's paths must not fill the metrics or the log
        with self.server.counting:
            self.server.requests[known, status] += 1
        LOG.info("%s %s %d", self.command, known, status)
        self._send(status, body)

    def _health(self) -> tuple[int, dict[str, str]]:
        seen = {"release": RELEASE, "maintenance": self.server.shop.maintenance()["mode"]}
        reason = self.server.shop.trouble()
        if reason is None:
            return 200, {"status": "ok", **seen}
        LOG.error("health failed: %s", reason)
        return 500, {"status": "failing", "reason": reason, **seen}

    def _metrics(self) -> tuple[int, str]:
        with self.server.counting:
            requests = sorted(self.server.requests.items())
        lines = ["# TYPE shop_up gauge", "shop_up 1", "# TYPE shop_build_info gauge"]
        lines += [f'shop_build_info{{release="{RELEASE}"}} 1', "# TYPE shop_orders_total counter"]
        lines += [f"shop_orders_total {self.server.shop.orders()}", "# TYPE shop_requests_total counter"]
        lines += [f'shop_requests_total{{path="{path}",code="{code}"}} {n}' for (path, code), n in requests]
        return 200, "\n".join(lines) + "\n"

    def _body(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > BODY_LIMIT:
            raise RefusedError(400, f"send at most {BODY_LIMIT} bytes of JSON and say how many")
        try:
            body = json.loads(self.rfile.read(int(length)))
        except ValueError as error:
            raise RefusedError(400, f"not JSON: {error}") from error
        if not isinstance(body, dict):
            raise RefusedError(400, "send a JSON object")
        return body

    def _send(self, status: int, body: dict[str, Any] | str) -> None:
        kind = "text/plain; version=0.0.4" if isinstance(body, str) else "application/json"
        raw = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_request(self, *_args: Any) -> None:
        """Stay silent: `_serve` logs."""


def _no_such_page() -> tuple[int, dict[str, str]]:
    return 404, {"error": "no such page"}


def _named(error: Exception) -> str:
    return traceback.format_exception_only(type(error), error)[-1].strip()


def _log_to_stderr() -> None:
    form = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    form.converter = time.gmtime
    stream = logging.StreamHandler()
    stream.setFormatter(form)
    logging.basicConfig(level=logging.INFO, handlers=[stream])


def main() -> None:
    """Serve until SIGTERM; write the pid file once the port listens."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder that holds data/")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid-file", type=Path, required=True)
    options = parser.parse_args()
    _log_to_stderr()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Server(options.port, Shop(options.root.resolve() / "data")) as server:
        options.pid_file.write_text(str(os.getpid()), encoding="utf-8")
        LOG.info("release %s sells on port %d", RELEASE, options.port)
        server.serve_forever()


if __name__ == "__main__":
    main()
