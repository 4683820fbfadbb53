"""Can an address be connected to? TCP and TLS alone: nothing is sent to anybody."""

from __future__ import annotations

import socket
import ssl
import urllib.request
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

TIMEOUT_S = 4.0
# Those of apprise that name the server itself, and with what ends in s over TLS; the rest name a service.
_OF_APPRISE = ("json", "xml", "form")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Tried:
    """What came of an address: a problem with its fix, or a note why it could not be tried; or all is well."""

    problem: str = ""
    fix: str = ""
    note: str = ""


@dataclass(frozen=True)
class Server:
    """Host, port, and whether TLS is spoken there and its certificate must be good."""

    host: str
    port: int
    tls: bool
    verified: bool = True


class NotTried(Exception):
    """It cannot be told without sending something; the message says why."""


def is_web(address: str) -> bool:
    """Say whether it is an http or https address."""
    return urlsplit(address).scheme.lower() in _PORTS


def attempt(address: str) -> Tried:
    """Connect to an address and hang up."""
    try:
        return Tried(problem=why_not(server(address)))
    except NotTried as error:
        return Tried(note=str(error))


def server(address: str) -> Server:
    """Return the server that an address leads to. Raise NotTried if it names none, or if a proxy stands between."""
    parts = urlsplit(address)
    kind = parts.scheme.lower()
    if kind.removesuffix("s") in _OF_APPRISE:
        scheme = "https" if kind.endswith("s") else "http"
    elif kind in _PORTS:
        scheme = kind
    else:
        raise NotTried(f"{kind or 'an address without a kind'} cannot be tried without sending")
    try:
        host, port = parts.hostname, parts.port or _PORTS[scheme]
    except ValueError as error:
        raise NotTried("its port is not a number") from error
    if not host:
        raise NotTried("it names no host")
    if scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(f"{host}:{port}"):
        raise NotTried("what lies behind a proxy cannot be tried without sending")
    verified = parse_qs(parts.query).get("verify", ["yes"])[-1].lower() not in ("no", "false", "0", "off")
    return Server(host, port, scheme == "https", verified)


def why_not(there: Server) -> str:
    """Connect and hang up; return why that was not possible, nothing if it was. Takes a few seconds at most."""
    try:
        with socket.create_connection((there.host, there.port), TIMEOUT_S) as connection:
            if there.tls:
                context = ssl.create_default_context()
                if not there.verified:
                    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                with context.wrap_socket(connection, server_hostname=there.host):
                    pass
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not trusted: {error.verify_message}"
    except TimeoutError:
        return f"no answer in {TIMEOUT_S:.0f} s"
    except (OSError, UnicodeError) as error:
        return getattr(error, "strerror", None) or type(error).__name__
    return ""
