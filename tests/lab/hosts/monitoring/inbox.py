"""Where the lab's people read what they are told: takes any JSON by POST, keeps it, and gives it back.

POST /NAME keeps a document for NAME, and answers with a key, as a tracker does; GET /NAME returns all of them, each as
{received: seconds since the epoch, content: …}, oldest first. What it kept is gone when it is restarted.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PORT = 8025
BODY_LIMIT = 256 * 1024
NAMES = 100  # more are not kept apart
KEPT: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)


class Handler(BaseHTTPRequestHandler):
    """One message, or one look into the inbox."""

    timeout = 10  # seconds that a client may take

    def do_POST(self) -> None:
        """Keep a document."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > BODY_LIMIT:
            self._answer(413, {"error": f"send at most {BODY_LIMIT} bytes and say how many"})
            return
        try:
            content = json.loads(self.rfile.read(int(length)))
        except ValueError as error:
            self._answer(400, {"error": f"not JSON: {error}"})
            return
        if self.path not in KEPT and len(KEPT) >= NAMES:
            self._answer(507, {"error": "too many names"})
            return
        KEPT[self.path].append({"received": time.time(), "content": content})
        self._answer(201, {"key": f"LAB-{len(KEPT[self.path])}"})

    def do_GET(self) -> None:
        """Give back what was kept."""
        self._answer(200, KEPT.get(self.path, []))

    def _answer(self, status: int, body: Any) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", PORT), Handler).serve_forever()  # noqa: S104 - the lab's network is this machine's own
