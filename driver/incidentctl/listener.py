"""The HTTP endpoint that Alertmanager posts to. It takes a request apart and answers; what it means is not known here.

One request a connection, which has a deadline, a bounded body and a place among a bounded number: a client that is slow
or hostile holds up nobody else.
"""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from incidentctl.alerts import NotUnderstood
from incidentctl.errors import ConfigurationError, IncidentctlError, UsageError
from incidentctl.text import plain

PATH = "/alerts"
HEALTHY = "/-/healthy"
LOOPBACK = "127.0.0.1"
BODY_LIMIT = 1024 * 1024
DEADLINE_S = 15.0  # from the connection to the last byte of the request
CONNECTIONS = 32
_WORDS = 300

# What is posted → the answer for the client, and what to say of it here. Raises NotUnderstood or IncidentctlError.
Hear = Callable[[Any], tuple[dict[str, Any], str]]
Say = Callable[[str], None]


def address(text: str) -> tuple[str, int]:
    """Given [HOST:]PORT as a person types it, return both; loopback without a host. Raise UsageError."""
    host, _colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or LOOPBACK
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise UsageError(f"{text!r} is not an address to listen at.", fix="write PORT, HOST:PORT or [IPV6]:PORT")
    return host, int(port)


def is_local(host: str) -> bool:
    """Say whether only this machine itself reaches an address."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


@contextlib.contextmanager
def serving(place: tuple[str, int], hear: Hear, token: str | None, say: Say) -> Iterator[tuple[str, int]]:
    """Answer at `place` while the body runs; give the address that it became (port 0 is any that is free).

    At the end no new request is taken, and those that were begun are answered. Raise ConfigurationError if the address
    cannot be had.
    """
    try:
        server = _Server(place, hear, token, say)
    except OSError as error:
        fix = "listen at another address, or end what listens there"
        raise ConfigurationError(f"{place[0]}:{place[1]} cannot be listened at.", str(error.strerror), fix) from error
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="incidentctl-listener")
    thread.start()
    try:
        yield place[0], server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()  # waits for the answers that are on their way


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # what was begun is recorded and answered, also at the end
    request_queue_size = CONNECTIONS  # Alertmanager sends many groups at once, and what finds no room is reset

    def __init__(self, place: tuple[str, int], hear: Hear, token: str | None, say: Say) -> None:
        self.address_family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
        self.hear, self.token, self.say = hear, token, say
        self._places = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__(place, _Handler)

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's own would ask the name service who we are, and may wait for it
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)  # to the client a failure of the network: Alertmanager tries again
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        late = threading.Timer(DEADLINE_S, _cut, (request,))
        late.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            late.cancel()
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    error_content_type = "text/plain; charset=utf-8"
    error_message_format = "%(code)d %(message)s\n"

    def do_GET(self) -> None:
        if self.path != HEALTHY:
            self._refuse_place({PATH: "POST", HEALTHY: "GET"})
            return
        self._answer(HTTPStatus.OK, b"ok\n", "text/plain; charset=utf-8")

    def do_POST(self) -> None:
        if self.path != PATH:
            self._refuse_place({PATH: "POST", HEALTHY: "GET"})
        elif self._is_allowed() and (body := self._body()) is not None:
            self._take(body)

    def _other(self) -> None:
        self._refuse_place({PATH: "POST", HEALTHY: "GET"})

    do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _other  # noqa: N815 - the names that the server calls

    def _refuse_place(self, known: dict[str, str]) -> None:
        if self.path not in known:
            self._refuse(HTTPStatus.NOT_FOUND, f"alerts are taken at {PATH}")
        else:
            method = known[self.path]
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, f"only {method} is taken here", Allow=method)

    def _is_allowed(self) -> bool:
        given = f"{self.headers.get('Authorization', '')}".encode("utf-8", "replace")
        if self.server.token is None or hmac.compare_digest(given, f"Bearer {self.server.token}".encode()):
            return True
        self._refuse(HTTPStatus.UNAUTHORIZED, "the bearer token is missing or wrong", **{"WWW-Authenticate": "Bearer"})
        return False

    def _body(self) -> bytes | None:
        """Return the whole body, or refuse it and return None."""
        length = self.headers.get("Content-Length", "")
        if self.headers.get_content_type() != "application/json":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json")
        elif "Transfer-Encoding" in self.headers or not length:
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing")
        elif not (length.isascii() and length.isdigit()):
            self._refuse(HTTPStatus.BAD_REQUEST, "Content-Length must be a number")
        elif len(length) > 9 or int(length) > BODY_LIMIT:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {BODY_LIMIT} bytes")
        else:
            body = self.rfile.read(int(length))
            if len(body) == int(length):
                return body
            self._refuse(HTTPStatus.BAD_REQUEST, "the body ends before Content-Length")
        return None

    def _take(self, body: bytes) -> None:
        began = time.monotonic()
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            self._refuse(HTTPStatus.BAD_REQUEST, "the body is not JSON")
            return
        try:
            answer, told = self.server.hear(document)
        except NotUnderstood as error:
            self._refuse(HTTPStatus.BAD_REQUEST, f"not a notification of Alertmanager: {error}")
        except IncidentctlError as error:  # 5xx: Alertmanager keeps it, and tries again
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, f"not recorded: {plain(error.what, _WORDS)}")
        except Exception as error:  # whatever it is: what is not recorded must not be taken for received
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"not recorded: {type(error).__name__}")
        else:
            self.server.say(plain(f"{told} ({(time.monotonic() - began) * 1000:.0f} ms)", _WORDS))
            self._answer(HTTPStatus.OK, json.dumps(answer).encode() + b"\n", "application/json")

    def _answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: HTTPStatus, why: str, **headers: str) -> None:
        self.server.say(plain(f"refused: {status.value} {why}", _WORDS))
        body = f"{why}\n".encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Type": self.error_content_type, "Content-Length": len(body)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self._let_finish()

    def _let_finish(self) -> None:
        """Take in, up to a bound, what is still being sent: a client that is cut off while it sends reads no answer."""
        left = 8 * BODY_LIMIT
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while left > 0 and (part := self.rfile.read1(64 * 1024)):
                left -= len(part)

    def version_string(self) -> str:
        """Which Python runs here is nobody's business."""
        return "incidentctl"

    def log_message(self, *_words: object) -> None:
        """What is worth a line was said: no client writes into our log by asking for odd addresses."""


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RD)
