"""Does a PostgreSQL server let its clients in? Its own protocol, read by us: the host need not have psql.

Messages are those of protocol 3.0. Of each at most 64 kB are read, at most 100 of them, all under one deadline.
"""

from __future__ import annotations

import hashlib
import ssl
import struct
from datetime import datetime, timezone
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _certificates, _scram
from ansible_collections.incidentctl.response.plugins.module_utils._check_address import Check, Needs
from ansible_collections.incidentctl.response.plugins.module_utils._line import Clock, Failure, Line, connect

_VERSION, _WANTS_TLS = 196608, 80877103
_LONGEST, _MOST = 64 * 1024, 100
_DIGITS = 9  # of a number of connections
_LET_IN = b"\0\0\0\0"
_NOBODY = "postgres"  # who is asked for where the check names no user: a role that nearly every server has
_IN_WORDS = {
    "28000": "login refused",
    "28P01": "login refused",
    "3D000": "the database is missing",
    "42501": "login refused",
    "53300": "too many clients",
    "57P01": "it is shutting down",
    "57P02": "it is recovering from a crash",
    "57P03": "it is starting up",
}
_IS_FOR_LOGIN = ("28000", "28P01", "3D000", "42501")
# How many other clients there are, as any role may know it (of others' sessions it sees little more than their database);
# and how many there may be, without the places that are kept for administrators.
_ASK = (
    "SELECT count(*), current_setting('max_connections')::int,"
    " current_setting('superuser_reserved_connections')::int"
    " FROM pg_catalog.pg_stat_activity WHERE datid IS NOT NULL AND pid <> pg_backend_pid()"
)


class _Said(Failure):
    """An error that the server itself told."""

    def __init__(self, state: str, text: str) -> None:
        known = _IN_WORDS.get(state)
        super().__init__("login" if state in _IS_FOR_LOGIN else "answer", f"{known}: {text}" if known else text)
        self.state = state


def ask(check: Check, needs: Needs, clock: Clock) -> dict[str, Any]:
    """Log in as far as it goes without a password, or with the secret, and ask a question.

    Return {detail, connections: {used, max} where it could be asked, certificate: {days} where it showed one}.
    That a password is wanted which we have not is an answer as well: the server lives. Raise Failure.
    """
    with connect(check.host, check.port, clock) as line:
        verified = _secured(line, check, needs)
        shown = _shown(line)
        line.step = "answer"
        user = check.user or _NOBODY
        wanted = {"user": user, "database": check.database, "application_name": "incidentctl"}
        words = b"".join(f"{key}\0{value}\0".encode() for key, value in wanted.items()) + b"\0"
        line.send(struct.pack("!2I", len(words) + 8, _VERSION) + words)
        try:
            entered = _log_in(line, user, needs.secret, verified)
        except _Said as said:
            if said.state == "28000" and not check.user and needs.secret is None:  # a user of our own choice: who knows
                return {"detail": f"answers in {clock.passed_ms:.0f} ms; whether a login works was not seen", **shown}
            raise
        if not entered:
            return {"detail": f"answers in {clock.passed_ms:.0f} ms and asks for a password; login not tried", **shown}
        used, most = _count(line)
        took = clock.passed_ms
        line.send(b"X\0\0\0\4")
    return {
        "detail": f"answers in {took:.0f} ms, {used} of {most} connections",
        "connections": {"used": used, "max": most},
        **shown,
    }


def _secured(line: Line, check: Check, needs: Needs) -> bool:
    """Go on in TLS if both sides want to; return whether the server's certificate was verified."""
    if needs.trust is None:
        return False
    line.send(struct.pack("!2I", 8, _WANTS_TLS))
    answer = line.read(1)
    if answer == b"E":  # as a server does that cannot start another process
        raise _error(_body(line))
    if answer not in (b"S", b"N"):
        raise Failure("answer", "what came back is not PostgreSQL")
    if answer == b"N":
        if check.option in ("", "prefer") and needs.trust.verify_mode == ssl.CERT_NONE:
            return False
        raise Failure("tls", "the server has no TLS, and sslmode or ca_file asks for it")
    line.secure(check.host, needs.trust)
    return needs.trust.verify_mode != ssl.CERT_NONE


def _shown(line: Line) -> dict[str, Any]:
    """Return for how many days the certificate is valid that the server showed, whether or not we verify it: others may."""
    encoded = line.sock.getpeercert(binary_form=True) if isinstance(line.sock, ssl.SSLSocket) else None
    try:
        shown = _certificates.read(encoded) if encoded else None
    except _certificates.CertificateError:
        return {}
    days = _certificates.days_left(shown, datetime.now(timezone.utc)) if shown else None
    return {} if days is None else {"certificate": {"days": round(days, 1)}}


def _log_in(line: Line, user: str, password: str | None, verified: bool) -> bool:
    """Answer what the server asks; return whether we are in, False if it wants a password and there is none."""
    login = None
    for _message in range(_MOST):
        kind, body = _message_of(line)
        if kind == b"Z":
            return True
        if kind not in (b"R", b"S", b"K", b"N", b"v"):
            break
        if kind != b"R" or body == _LET_IN:
            continue
        (method,) = struct.unpack_from("!I", body)
        if password is None:
            return False
        line.step = "login"
        login = login or _Login(user, password, verified)
        if answer := login.answer(method, body[4:]):
            line.send(b"p" + struct.pack("!I", len(answer) + 4) + answer)
    raise Failure("answer", "what came back is not PostgreSQL")


class _Login:
    """How a password is proved in each of the ways that a server may ask for it."""

    def __init__(self, user: str, password: str, verified: bool) -> None:
        self._user, self._password, self._verified = user, password, verified
        self._scram = _scram.Scram(password)

    def answer(self, method: int, said: bytes) -> bytes:
        """Return what to answer, nothing where nothing is waited for. Raise Failure."""
        if method == 3:
            if not self._verified:
                raise Failure("login", "it wants the password in clear text, which goes only over sslmode=verify-full")
            return self._password.encode() + b"\0"
        if method == 5:
            # The protocol has it so; SCRAM is what servers ask for since PostgreSQL 14.
            inner = hashlib.md5(f"{self._password}{self._user}".encode()).hexdigest()  # noqa: S324 - as above
            return b"md5" + hashlib.md5(inner.encode() + said[:4]).hexdigest().encode() + b"\0"  # noqa: S324 - as above
        if method == 10 and _scram.MECHANISM in said.split(b"\0"):
            first = self._scram.first()
            return _scram.MECHANISM + b"\0" + struct.pack("!I", len(first)) + first
        if method == 11:
            return self._scram.final(said)
        if method == 12:
            if self._scram.is_the_server(said):
                return b""
            raise Failure("login", "it does not prove that it knows the password: is it the server that is meant?")
        raise Failure("login", f"it asks for a login of a kind that is not tried (number {method})")


def _count(line: Line) -> tuple[int, int]:
    """Return how many clients there are, and how many there may be."""
    line.step = "answer"
    question = _ASK.encode() + b"\0"
    line.send(b"Q" + struct.pack("!I", len(question) + 4) + question)
    row: list[int] = []
    for _message in range(_MOST):
        kind, body = _message_of(line)
        if kind == b"D":
            row = _row(body)
        elif kind == b"Z":
            break
    if len(row) != 3:
        raise Failure("answer", "what came back is no answer to the question")
    return row[0], row[1] - row[2]


def _row(body: bytes) -> list[int]:
    (count,), at, found = struct.unpack_from("!H", body), 2, []
    for _column in range(min(count, 3)):
        (length,) = struct.unpack_from("!i", body, at)
        figure = body[at + 4 : at + 4 + max(0, length)]
        if not figure.isdigit() or len(figure) > _DIGITS:
            raise ValueError("no number of connections")
        found.append(int(figure))
        at += 4 + max(0, length)
    return found


def _message_of(line: Line) -> tuple[bytes, bytes]:
    kind = line.read(1)
    body = _body(line)
    if kind == b"E":
        raise _error(body)
    return kind, body


def _body(line: Line) -> bytes:
    (length,) = struct.unpack("!I", line.read(4))
    if not 4 <= length <= _LONGEST:
        raise Failure("answer", "what came back is not PostgreSQL")
    return line.read(length - 4)


def _error(body: bytes) -> Failure:
    fields = {part[:1]: part[1:].decode("utf-8", "replace") for part in body.split(b"\0") if part}
    return _Said(fields.get(b"C", ""), fields.get(b"M", "an error without words"))
