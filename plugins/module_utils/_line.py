"""A connection to a peer that nobody trusts: one deadline for all of it, and whatever goes wrong said with its step."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _parallel
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

SAID_CHARS = 200
NO_TLS = "it does not speak TLS"
UNTRUSTED = "its certificate is not trusted"
_MOST_ADDRESSES = 8
_UNTRUSTED = (2, 18, 19, 20, 21)  # nobody who is trusted has signed it, in the numbers of OpenSSL's X509_V_ERR
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")


class Failure(Exception):
    """A step did not succeed: `step` is dns, connect, tls, login or answer; `detail` says in words what happened."""

    def __init__(self, step: str, detail: str) -> None:
        """Keep both; the words of a peer are made safe to show."""
        super().__init__(detail)
        self.step, self.detail = step, clean(detail, SAID_CHARS)


class Clock:
    """What is left of a time in seconds."""

    def __init__(self, seconds: float) -> None:
        """Begin now."""
        self.seconds = seconds
        self.connected_ms: float | None = None  # when a connection stood
        self._began = time.monotonic()

    @property
    def left(self) -> float:
        """Return the seconds that are left. Raise TimeoutError if there are none."""
        left = self.seconds - (time.monotonic() - self._began)
        if left <= 0:
            raise TimeoutError
        return left

    @property
    def passed_ms(self) -> float:
        """Return the milliseconds since the beginning."""
        return round((time.monotonic() - self._began) * 1000, 1)


class Line:
    """One connection. Whatever is read or sent has what is left of its clock, however slowly the peer drips."""

    def __init__(self, sock: socket.socket, clock: Clock) -> None:
        """Take over a connected socket."""
        self.sock, self.clock = sock, clock
        self.step = "answer"  # what a failure from here on is told as
        self._held = b""

    def __enter__(self) -> Line:
        """Return itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close it."""
        with contextlib.suppress(OSError):
            self.sock.close()

    def send(self, data: bytes) -> None:
        """Send all of it."""
        with self._told():
            self.sock.settimeout(self.clock.left)
            self.sock.sendall(data)

    def read(self, count: int) -> bytes:
        """Return exactly so many bytes."""
        while len(self._held) < count:
            self._held += self._more(count - len(self._held))
        found, self._held = self._held[:count], self._held[count:]
        return found

    def read_line(self, limit: int) -> bytes:
        """Return one line without its end. Raise Failure if it is longer than `limit` bytes."""
        while b"\n" not in self._held:
            if len(self._held) > limit:
                raise Failure(self.step, "what came back is not the protocol that was asked for")
            self._held += self._more(limit)
        line, _end, self._held = self._held.partition(b"\n")
        return line.rstrip(b"\r")

    def secure(self, name: str, trust: ssl.SSLContext) -> dict[str, Any]:
        """Go on in TLS; return what the peer's certificate says, if `trust` has it verified for this name."""
        try:
            self.sock.settimeout(self.clock.left)
            secured = trust.wrap_socket(self.sock, server_hostname=name)
            self.sock = secured
            return dict(secured.getpeercert() or {})
        except (OSError, ValueError) as error:
            raise Failure("tls", words(error, self.clock)) from error

    def _more(self, count: int) -> bytes:
        with self._told():
            self.sock.settimeout(self.clock.left)
            data = self.sock.recv(min(count, 65536))
        if not data:
            raise Failure(self.step, "it closed the connection without an answer")
        return data

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Failure(self.step, words(error, self.clock)) from error


def resolve(host: str, port: int, clock: Clock, family: int = 0) -> list[Any]:
    """Return the addresses of a host as getaddrinfo does, asked as this host asks. Raise Failure, step dns."""
    numeric = _numeric(host, port)
    if numeric:
        return numeric

    def ask(name: str) -> Any:
        try:
            return socket.getaddrinfo(name, port, family, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # UnicodeError: a label that is empty or too long
            return error

    # A name server that is away keeps getaddrinfo for 10 s and more, and nothing can end it: it is left behind.
    (found,) = _parallel.each(ask, [host], clock.left)
    if found is _parallel.LATE:
        raise Failure("dns", f"{host} did not resolve within {clock.seconds:g} s")
    if isinstance(found, Exception):
        raise Failure("dns", f"{host} does not resolve: {getattr(found, 'strerror', None) or found}")
    return list(found)


def connect(host: str, port: int, clock: Clock) -> Line:
    """Resolve and connect; each of several addresses gets its share of the time. Raise Failure, step dns or connect."""
    addresses = resolve(host, port, clock)[:_MOST_ADDRESSES]
    refused: Failure | None = None
    for number, (family, kind, protocol, _name, address) in enumerate(addresses):
        sock = None
        try:
            sock = socket.socket(family, kind, protocol)
            sock.settimeout(clock.left / (len(addresses) - number))
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            clock.connected_ms = clock.passed_ms
        except OSError as error:
            whom = "" if address[0] == host else f"{address[0]} port {port}: "
            refused = refused or Failure("connect", f"{whom}{connect_words(error, clock)}")
            if sock is not None:
                sock.close()
            continue
        return Line(sock, clock)
    raise refused or Failure("dns", f"{host} has no address")


def connect_words(error: OSError, clock: Clock) -> str:
    """Say why a connection was not made."""
    if isinstance(error, (TimeoutError, socket.timeout)):
        return f"no answer within {clock.seconds:g} s (the host is down, or a firewall drops)"
    return words(error, clock)


def words(error: Exception, clock: Clock) -> str:
    """Say what went wrong on a connection."""
    if isinstance(error, (TimeoutError, socket.timeout)):  # two things before Python 3.10
        return f"no complete answer within {clock.seconds:g} s"
    if isinstance(error, ssl.SSLError):
        return tls_words(error)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def tls_words(error: ssl.SSLError) -> str:
    """Say why TLS did not come about."""
    if isinstance(error, ssl.SSLCertVerificationError):
        told = f"{UNTRUSTED}: {error.verify_message.rstrip('.')}"
        fix = "name the file of the authority that signed it in ca_file"
        return f"{told}. Fix: {fix}" if error.verify_code in _UNTRUSTED else told
    if error.reason in _NO_TLS:
        return NO_TLS
    return f"TLS: {(error.reason or 'it ended').replace('_', ' ').lower()}"


def _numeric(host: str, port: int) -> list[Any]:
    try:
        return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return []
