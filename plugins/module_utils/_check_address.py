"""What a dependency's check says: which protocol, where, and with what. And all that is wrong with one."""

from __future__ import annotations

import ipaddress
import re
import ssl
import urllib.parse
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _http_request

KEYS = ("name", "check", "service", "ca_file", "secret_ref", "timeout_s", "slow_ms")
TIMEOUT_S = 3.0
LONGEST_S = 30.0  # all of a host's dependencies are asked at once, and waited for
_PORTS = {
    "tcp": None,
    "tls": 443,
    "http": 80,
    "https": 443,
    "postgresql": 5432,
    "redis": 6379,
    "rediss": 6379,
    "dns": 53,
}
_ALIASES = {"postgres": "postgresql"}
_OPTIONS = {"tls": "name", "postgresql": "sslmode", "dns": "type"}  # what may stand after the question mark
_SSL_MODES = ("disable", "prefer", "require", "verify-full")
DNS_TYPES = {"A": 1, "NS": 2, "CNAME": 5, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33}
_SECURE = ("tls", "https", "postgresql", "rediss")
_LOGIN = ("http", "https", "postgresql", "redis", "rediss")
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252})\.?")
_USER = re.compile(r"[^\x00-\x1f\x7f]{1,63}")


class Check(NamedTuple):
    """A check taken apart. `host` of a dns check is the name that is asked for, `server` the resolver, "" for the host's own."""

    kind: str
    host: str
    port: int
    user: str = ""
    database: str = ""
    option: str = ""  # tls: the name in the certificate; postgresql: sslmode; dns: the type
    server: str = ""


class Needs(NamedTuple):
    """What a check takes along, made ready before its time begins."""

    secret: str | None = None  # the password that `secret_ref` leads to
    trust: ssl.SSLContext | None = None  # whom TLS trusts, where the check speaks it


def parse(address: Any) -> Check:
    """Take a check apart. Raise ValueError that says what is wrong with it, and never repeats what may be a password."""
    scheme, slashes, rest = str(address).partition("://")
    kind = _ALIASES.get(scheme.lower(), scheme.lower())
    if not slashes or kind not in _PORTS:
        raise ValueError(f"must begin with one of {', '.join(f'{one}://' for one in _PORTS)}")
    if kind in ("http", "https"):
        found = _http_request.address(str(address))
        return Check(kind, found.host, found.port)
    if not re.fullmatch(r"[\x21-\x7e]+", rest):
        raise ValueError("names no host, or holds a space or another character that must be percent-encoded")
    place, _slash, more = rest.partition("?")
    option = _option(kind, more)
    place, slash, path = place.partition("/")
    if kind == "dns":
        return _dns(place + slash + path, option)
    user, at, place = place.rpartition("@")
    if ":" in user:
        raise ValueError("holds a password: say in secret_ref where it is kept")
    if at and (kind in ("tcp", "tls") or not _USER.fullmatch(urllib.parse.unquote(user))):
        raise ValueError(f"holds a user, which {kind} has not" if kind in ("tcp", "tls") else "has an impossible user")
    host, port = _http_request.place(place, _PORTS[kind])
    database = urllib.parse.unquote(path)
    if kind == "postgresql" and not re.fullmatch(r"[^\x00-\x1f\x7f/]{1,63}", database):
        raise ValueError("needs the name of a database: postgresql://host/database")
    if kind != "postgresql" and path:
        raise ValueError(f"has a path, which {kind} has not")
    return Check(kind, host, port, urllib.parse.unquote(user), database, option)


def check(item: dict[str, Any]) -> list[str]:
    """Return all that is wrong with the values of one entry of `depends_on`, one sentence each."""
    problems, kind = [], ""
    try:
        kind = parse(item["check"]).kind
    except ValueError as error:
        problems.append(f"check {error}")
    if kind and "ca_file" in item and kind not in _SECURE:
        problems.append("ca_file belongs to a check that speaks TLS: https, tls, rediss or postgresql")
    if kind and "secret_ref" in item and kind not in _LOGIN:
        problems.append(f"secret_ref: nobody logs in over {kind}")
    given = {key: item[key] for key in ("ca_file", "secret_ref") if key in item}
    problems += _http_request.check({"url": "http://x/", **given})
    web = kind in ("http", "https", "")
    if not web and isinstance(item.get("secret_ref"), dict) and {"header", "scheme", "user"} & set(item["secret_ref"]):
        problems.append("secret_ref has file or env here; the user stands in the check")
    for key, most in (("timeout_s", LONGEST_S), ("slow_ms", LONGEST_S * 1000)):
        if key in item and not _http_request.is_number(item[key], 0.01, most):
            problems.append(f"{key} must be a number, {most:g} at most")
    return problems


def unknown_services(services: list[Any]) -> list[tuple[Any, Any]]:
    """Return (service, name) for each dependency that says it is a service which the catalogue has not."""
    rows = [service for service in services if isinstance(service, dict)]
    known = [service.get("name") for service in rows]
    return [
        (service.get("name"), needed["service"])
        for service in rows
        for needed in (service["depends_on"] if isinstance(service.get("depends_on"), list) else ())
        if isinstance(needed, dict) and "service" in needed and needed["service"] not in known
    ]


def _option(kind: str, query: str) -> str:
    known = _OPTIONS.get(kind, "")
    given = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
    unknown = [key for key in given if key != known]
    if unknown:
        raise ValueError(f"has an unknown word {unknown[0]!r} after the question mark" + (known and f", not {known}"))
    value = given.get(known, "")
    if known == "sslmode" and value not in ("", *_SSL_MODES):
        raise ValueError(f"has an sslmode that is none of {', '.join(_SSL_MODES)}")
    if known == "type" and value.upper() not in ("", *DNS_TYPES):
        raise ValueError(f"has a type that is none of {', '.join(DNS_TYPES)}")
    if known == "name" and value and not _NAME.fullmatch(value):
        raise ValueError("has a name that no certificate can have")
    return value.upper() if known == "type" else value


def _dns(place: str, option: str) -> Check:
    name, at, server = place.partition("@")
    if not _NAME.fullmatch(name) or any(not 0 < len(label) < 64 for label in name.rstrip(".").split(".")):
        raise ValueError("needs a name to resolve: dns://db.internal")
    host, port = _http_request.place(server, 53) if at else ("", 53)
    if not at:
        return Check("dns", name, port, option=option)
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError as error:
        raise ValueError("must have the address of a resolver after the @, not its name") from error
    return Check("dns", name, port, option=option, server=host)
