"""Orders over HTTP, kept in PostgreSQL: a small service as many a firm has one. Python and psycopg2.

POST /orders takes {sku, quantity}: asks the stock service, writes the order, a receipt to be mailed and a line of the
audit log. GET /search?q=… finds orders by their sku. GET /health says whether the database answers.
"""

from __future__ import annotations

import configparser
import json
import logging
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg2

CONFIG = configparser.ConfigParser()
CONFIG.read("/etc/orders/orders.ini")
RELEASE = Path(__file__).resolve().parent.name
DATA = Path(CONFIG["orders"]["data"])
LOGS = Path(CONFIG["orders"]["logs"])
FOUND: dict[str, list[str]] = {}  # what was searched for, and what was found

log = logging.getLogger("orders")


def database() -> Any:
    """Connect to the database. Raise psycopg2.Error if it cannot be reached."""
    it = CONFIG["database"]
    return psycopg2.connect(
        host=it["host"],
        port=it["port"],
        dbname=it["name"],
        user=it["user"],
        connect_timeout=3,
        application_name="orders",
    )


def query(text: str, *values: Any) -> list[Any]:
    """Do one statement in a connection of its own; return its rows."""
    connection = database()
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(text, values)
            return list(cursor.fetchall())
    finally:
        connection.close()


def left_of(sku: str) -> int:
    """Ask the stock service how many of an article there are."""
    address = f"{CONFIG['stock']['url']}/stock/{sku}"
    patience = CONFIG["stock"].getfloat("timeout")
    with urllib.request.urlopen(address, timeout=patience) as answer:  # noqa: S310 - the address is the firm's own
        return int(json.load(answer)["left"])


def place(order: dict[str, Any]) -> dict[str, Any]:
    """Take an order; return it with its number."""
    sku, quantity = str(order["sku"]), int(order["quantity"])
    if left_of(sku) < quantity:
        return {"error": "sold out"}
    rows = query("INSERT INTO orders (sku, quantity) VALUES (%s, %s) RETURNING id", sku, quantity)
    receipt = {"order": rows[0][0], "sku": sku, "quantity": quantity, "mail_to": order.get("mail_to", "")}
    draft = DATA / "outbox" / f"{rows[0][0]}.new"
    draft.write_text(json.dumps(receipt))
    draft.replace(draft.with_suffix(".json"))
    with (LOGS / "audit.log").open("a") as audit:
        audit.write(f"{time.time():.0f} order {rows[0][0]} {sku} {quantity}\n")
    return receipt


def search(text: str) -> list[str]:
    """Return the orders of an article, from memory where it was asked for before."""
    if text not in FOUND:
        rows = query("SELECT id, sku, quantity FROM orders WHERE sku LIKE %s ORDER BY id DESC LIMIT 20", f"%{text}%")
        FOUND[text] = [f"order {row[0]}: {row[2]} of {row[1]}".ljust(400) for row in rows] or [" " * 40_000]
    return FOUND[text]


def mail() -> None:
    """Mail the receipts that lie in the outbox, for ever."""
    while True:
        for path in sorted((DATA / "outbox").glob("*.json")):
            try:
                receipt = json.loads(path.read_text())
                send(receipt)
                path.unlink()
            except Exception:
                log.exception("receipt %s cannot be mailed", path.name)
                break  # again, from the first
        else:
            time.sleep(0.5)


def send(receipt: dict[str, Any]) -> None:
    """Mail one receipt."""
    _name, at, _domain = receipt["mail_to"].partition("@")
    if not at:
        raise ValueError(f"not an address: {receipt['mail_to']!r}")


class Handler(BaseHTTPRequestHandler):
    """One request."""

    timeout = 10

    def do_GET(self) -> None:
        """Say how it is, or search."""
        address = urlsplit(self.path)
        if address.path == "/search":
            self.attempt(lambda: search(parse_qs(address.query)["q"][0]))
        elif address.path == "/health":
            self.attempt(lambda: {"status": "ok", "release": RELEASE, "database": query("SELECT 1")[0][0]})
        else:
            self.answer(404, {"error": "no such page"})

    def do_POST(self) -> None:
        """Take an order."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.attempt(lambda: place(json.loads(body)), 201)

    def attempt(self, work: Any, status: int = 200) -> None:
        """Do what was asked for, and say what went wrong with it."""
        try:
            result = work()
        except Exception as error:
            log.exception("%s %s failed", self.command, urlsplit(self.path).path)
            self.answer(500, {"error": f"{type(error).__name__}: {error}"})
        else:
            self.answer(status, result)

    def answer(self, status: int, body: Any) -> None:
        """Send an answer, and log the request."""
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)
        log.info("%s %s %s", self.command, urlsplit(self.path).path, status)

    def log_message(self, *_words: Any) -> None:
        """Say nothing on stderr: the log has it."""


class Server(ThreadingHTTPServer):
    """Ends with its main thread, and takes a crowd."""

    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    """Serve until told to stop."""
    logging.basicConfig(
        filename=LOGS / "orders.log", level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    log.info("release %s starts", RELEASE)
    threading.Thread(target=mail, daemon=True).start()
    Server(("", CONFIG["orders"].getint("port")), Handler).serve_forever()


if __name__ == "__main__":
    sys.exit(main())
