"""HTTP from the host: no proxy, redirects never followed, certificates verified, bounded in time and size.

The time counts for all of it together: name, connection, TLS, and the whole answer, however slowly it drips.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
import zlib
from contextlib import suppress
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _http_request, _line, _parallel, _trust
from ansible_collections.incidentctl.response.plugins.module_utils._http_request import SecretError

__all__ = ["SecretError", "accepted", "call", "check", "in_words"]

BODY_LIMIT = 64 * 1024
DEFAULT_TIMEOUT_S = 5.0
_SHORTEST_HIDDEN = 4  # a shorter text is everywhere, and hiding it would garble the answer
_SHOWN = 200
_LONGEST_LINE, _MOST_HEADERS = 65536, 100  # http.client's
_LATE_S = 0.1  # so that what is too slow tells itself which step it was at


def call(request: dict[str, Any], limit: int = BODY_LIMIT) -> dict[str, Any]:
    """Given what `_http_request.KEYS` names, return what came back; of the body at most `limit` bytes are read.

    {status: int or None, latency_ms: float, connect_ms: float or None, body: text, whole: was that all of it?, error:
    text or None, failing: the step that did not succeed (dns, connect, tls, answer) or None, location: where a redirect
    leads, sent: did the request go out, at least in part?}.
    Status None means that no answer came. The secret is never in it, even where the other side repeats it. Raise
    SecretError if the secret is missing.
    """
    secret = _http_request.secret(request.get("secret_ref"))
    attempt = _Attempt(secret.headers, limit)
    answer: dict[str, Any] = {
        "status": None, "body": "", "whole": True, "error": None, "failing": None, "location": "",
    }  # fmt: skip
    started = time.monotonic()
    try:
        place = _address(request)
        trust = _trust.context(request.get("ca_file")) if place.secure else None
        timeout_s = float(request.get("timeout_s") or DEFAULT_TIMEOUT_S)
        started = time.monotonic()
        (found,) = _parallel.each(attempt.make, [(request, place, trust, timeout_s)], timeout_s + _LATE_S)
        if found is _parallel.LATE:
            raise TimeoutError
        answer.update(found)
    except (TimeoutError, socket.timeout):  # two things before Python 3.10
        answer.update(error=f"no complete answer within {timeout_s:g} s", failing=attempt.step)
    except _line.Failure as failure:
        hint = ": is it http://?" if failure.detail == _line.NO_TLS else ""
        answer.update(error=f"{failure.detail}{hint}", failing=failure.step)
    except (OSError, ValueError, http.client.HTTPException) as failure:
        answer.update(error=_why(failure), failing=attempt.step)
    answer["sent"] = attempt.end()
    answer["connect_ms"] = attempt.connect_ms
    answer["latency_ms"] = round((time.monotonic() - started) * 1000, 1)
    for hidden in sorted(secret.hidden, key=len, reverse=True):
        for key in ("body", "error", "location") if len(hidden) >= _SHORTEST_HIDDEN else ():
            answer[key] = answer[key] and answer[key].replace(hidden, "***")
    return answer


def accepted(request: dict[str, Any], answer: dict[str, Any]) -> bool:
    """Say whether an answer has a status that the request wants to see: any 2xx, where it does not say."""
    status, wanted = answer["status"], _http_request.statuses(request)
    if wanted:
        return str(status) in [str(one) for one in wanted]
    return status is not None and 200 <= status < 300


def in_words(answer: dict[str, Any], shown: int = _SHOWN) -> str:
    """Say what came back, with so many characters of its text: for an answer that is not the one that was wanted."""
    status = answer["status"]
    if status is None:
        return f"nothing ({answer['error']})"
    if 300 <= status < 400:
        to = f" to {answer['location']}" if answer["location"] else ""
        return f"{status} (a redirect{to} is not followed)"
    needs = " (it wants a login: see secret_ref)" if status == 401 else ""
    return f"{status}{needs} {_plain(answer['body'])[:shown]}".rstrip()


def check(request: dict[str, Any]) -> None:
    """Raise SecretError if the secret, or the authority, that a request refers to cannot be used on this host."""
    _http_request.secret(request.get("secret_ref"))
    try:
        if request.get("ca_file"):
            _trust.context(request["ca_file"])
    except ValueError as error:
        raise SecretError(str(error)) from error


class _Attempt:
    """One request, made in a thread that may be left behind; what was given up before it was sent is never sent."""

    def __init__(self, secret: dict[str, str], limit: int) -> None:
        self._secret, self._limit = secret, limit
        self._lock, self._over = threading.Lock(), False
        self._socket: socket.socket | None = None
        self.step: str | None = None  # what it is at
        self.connect_ms: float | None = None

    def make(self, asked: tuple[dict[str, Any], _http_request.Address, ssl.SSLContext | None, float]) -> dict[str, Any]:
        """Connect, send, and read the answer."""
        request, (secure, host, port, target), trust, timeout_s = asked
        body, headers = _http_request.content(request)
        plain = http.client.HTTPConnection(host, port)
        line = http.client.HTTPSConnection(host, port, context=trust) if secure else plain
        self.step = "connect"
        clock = _line.Clock(timeout_s)
        opened = _line.connect(host, port, clock)
        self.connect_ms = clock.connected_ms
        line.sock = opened.sock  # closed with it
        try:
            if trust:
                self.step = "tls"
                opened.secure(host, trust)
                line.sock = opened.sock
            opened.sock.settimeout(timeout_s)
            self.step = "answer"
            with self._lock:
                if self._over:
                    raise TimeoutError
                self._socket = opened.sock
            line.request(_http_request.method(request), target, body, {**headers, **self._secret})
            answer = line.getresponse()
            raw = _read(answer, self._limit + 1)
        finally:
            line.close()
        text, whole = raw[: self._limit], len(raw) <= self._limit
        if answer.getheader("Content-Encoding", "").lower() in ("gzip", "x-gzip"):
            text, whole = _unpacked(text, self._limit, whole)
        location = _plain(answer.getheader("Location", ""))[:_SHOWN]
        return {"status": answer.status, "location": location, "body": text.decode("utf-8", "replace"), "whole": whole}

    def end(self) -> bool:
        """Let go of it, whatever it is at; say whether it was sent."""
        with self._lock:
            self._over = True
        if self._socket is None:
            return False
        with suppress(OSError):
            # Not TLS's own: that one waits for the other side to agree.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        return True


def _address(request: dict[str, Any]) -> _http_request.Address:
    try:
        return _http_request.address(request["url"])
    except ValueError as error:
        raise ValueError(f"the address {error}") from error


def _read(answer: http.client.HTTPResponse, limit: int) -> bytes:
    raw = b""
    while len(raw) < limit:
        chunk = answer.read1(limit - len(raw))
        if not chunk:
            break
        raw += chunk
    return raw


def _unpacked(raw: bytes, limit: int, whole: bool) -> tuple[bytes, bool]:
    """Unpack gzip, up to the limit: a small answer may hold a huge one."""
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        text = unpacking.decompress(raw, limit)
    except zlib.error as error:
        raise ValueError("the answer is not the gzip that it says it is") from error
    return text, whole and unpacking.eof


def _why(failure: Exception) -> str:
    """Say in words why no answer came."""
    if isinstance(failure, ssl.SSLError):
        return _line.tls_words(failure)
    if isinstance(failure, http.client.RemoteDisconnected):
        return "it closed the connection without an answer"
    if isinstance(failure, http.client.LineTooLong):
        return f"what came back has a line longer than {_LONGEST_LINE} bytes"
    if isinstance(failure, http.client.HTTPException):  # whose text may be anything, but for this one
        many = "headers" in str(failure)
        return f"what came back has more than {_MOST_HEADERS} headers" if many else "what came back is not HTTP"
    return _plain(getattr(failure, "strerror", None) or str(failure)) or type(failure).__name__


def _plain(text: str) -> str:
    """Return a text of others on one line, fit to be shown."""
    return " ".join("".join(c if c.isprintable() or c.isspace() else "?" for c in text).split())
