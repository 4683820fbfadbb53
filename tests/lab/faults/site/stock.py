"""How many of each article there are, over HTTP: GET /stock/SKU, GET /health. Standard library only."""

from __future__ import annotations

import fcntl
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

STOCK = Path("/srv/stock/stock.json")
PORT = 8200


class Handler(BaseHTTPRequestHandler):
    """One question."""

    timeout = 10

    def do_GET(self) -> None:
        """Answer it."""
        with STOCK.open() as stock:
            fcntl.flock(stock, fcntl.LOCK_SH)  # whoever writes it holds it meanwhile
            left = json.load(stock)
        sku = self.path.rpartition("/")[2]
        self.answer({"status": "ok"} if sku == "health" else {"sku": sku, "left": left.get(sku, 0)})

    def answer(self, body: Any) -> None:
        """Send an answer."""
        raw = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_words: Any) -> None:
        """Say nothing of what went well."""


if __name__ == "__main__":
    ThreadingHTTPServer(("", PORT), Handler).serve_forever()
