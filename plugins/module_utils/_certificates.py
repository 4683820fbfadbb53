"""Certificates: what one says of its time and names, and where to get it: from a TLS server, or from a file.

Python's standard library tells these only of a certificate that it trusts, and an expired one it does not trust. So the few
fields are read here from its encoding (X.509 in DER: RFC 5280, 4.1).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import ipaddress
import re
import socket
import ssl
import time
from datetime import datetime, timezone
from typing import NamedTuple

TIMEOUT_S = 3.0
_FAREWELL_S = 0.2
_SEQUENCE, _OBJECT = 0x30, 0x06
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_VERSION, _EXTENSIONS, _OCTETS = 0xA0, 0xA3, 0x04
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87
_COMMON_NAME = bytes.fromhex("550403")
_ALTERNATIVE_NAMES = bytes.fromhex("551d11")
_TEXTS = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}
_PEM = re.compile(rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END")
_NAMES = 50

Item = tuple[int, bytes]  # a tag, and what stands in it


class CertificateError(ValueError):
    """This is no certificate that can be read."""


class Certificate(NamedTuple):
    """What a certificate says of itself; nothing of it is checked."""

    subject: str  # its common name; empty where it has none
    names: tuple[str, ...]  # of hosts, and addresses
    not_before: datetime
    not_after: datetime


def of_server(host: str, port: int, name: str | None = None, timeout_s: float = TIMEOUT_S) -> Certificate:
    """Return the certificate that a TLS server shows to who asks for `name` (default: `host`), trusted or not.

    The time counts for connecting and for the whole handshake, except for looking up a host's name.
    Raise OSError if the server is not reached or does not speak TLS, CertificateError if its certificate cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent or believed: an expired one is what we look for
    until = time.monotonic() + timeout_s
    with socket.create_connection((host, port), timeout_s) as connection:
        connection.settimeout(max(0.1, until - time.monotonic()))
        with context.wrap_socket(connection, server_hostname=name or host) as secured:
            encoded = secured.getpeercert(binary_form=True)
            secured.settimeout(_FAREWELL_S)
            with contextlib.suppress(OSError, ValueError):  # so that the server has no error to log
                secured.unwrap()
    if not encoded:
        raise CertificateError("the server showed no certificate")
    return read(encoded)


def first_of(pem: bytes) -> Certificate | None:
    """Return the first certificate in the bytes of a PEM file, which is the owner's; None if there is none.

    Raise CertificateError if it cannot be read.
    """
    found = _PEM.search(pem)
    if found is None:
        return None
    try:
        return read(base64.b64decode(found.group(1)))
    except binascii.Error as error:
        raise CertificateError(f"not a certificate: {error}") from error


def read(encoded: bytes) -> Certificate:
    """Return what a certificate in DER says. Raise CertificateError if it cannot be read."""
    try:
        fields = _items(_inside(_inside(encoded, _SEQUENCE), _SEQUENCE))
        if fields[0][0] == _VERSION:
            fields = fields[1:]
        (_serial, _algorithm, _issuer, validity, subject), rest = fields[:5], fields[5:]
        not_before, not_after = map(_moment, _items(validity[1]))
    except (IndexError, ValueError, OverflowError) as error:
        raise CertificateError(f"not a certificate: {error}") from error
    return Certificate(_common_name(subject[1]), _alternative_names(rest), not_before, not_after)


def days_left(certificate: Certificate, now: datetime) -> float:
    """Return for how many days it is still valid; negative if it has expired."""
    return (certificate.not_after - now).total_seconds() / 86400


def is_for(certificate: Certificate, host: str) -> bool:
    """Say whether a certificate is for this host name or address, as RFC 6125 compares: `*` stands for one label."""
    wanted = host.rstrip(".").lower()
    names = [name.lower() for name in certificate.names or (certificate.subject,)]
    return wanted in names or any(name.startswith("*.") and wanted.partition(".")[2] == name[2:] for name in names)


def _items(encoded: bytes) -> list[Item]:
    """Return the tag and the content of each element that stands in `encoded`, one after the other."""
    found: list[Item] = []
    place = 0
    while place < len(encoded):
        tag, length = encoded[place], encoded[place + 1]
        place += 2
        if length & 0x80:
            octets = length & 0x7F
            length = int.from_bytes(encoded[place : place + octets], "big")
            place += octets
        if not 0 <= length <= len(encoded) - place:
            raise ValueError("it is cut off")
        found.append((tag, encoded[place : place + length]))
        place += length
    return found


def _inside(encoded: bytes, tag: int) -> bytes:
    """Return the content of the element at the start, which must have this tag."""
    first = _items(encoded)[0]
    if first[0] != tag:
        raise ValueError("another encoding")
    return first[1]


def _moment(item: Item) -> datetime:
    tag, said = item
    text = said.decode("ascii")
    if tag == _UTC_TIME:  # two digits for the year, of 1950 to 2049
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("no time where it should say when it ends")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=timezone.utc)


def _common_name(subject: bytes) -> str:
    """Return the last common name, which is the most specific; what cannot be read counts as none."""
    name = ""
    try:
        for _set, part in _items(subject):
            for _sequence, pair in _items(part):
                (_tag, kind), (encoding, value) = _items(pair)[:2]
                if kind == _COMMON_NAME:
                    name = value.decode(_TEXTS.get(encoding, "latin-1"), "replace")
    except (IndexError, ValueError):
        return ""
    return name


def _alternative_names(fields: list[Item]) -> tuple[str, ...]:
    names: list[str] = []
    try:
        extensions = next((content for tag, content in fields if tag == _EXTENSIONS), b"")
        for _tag, extension in _items(_inside(extensions, _SEQUENCE)) if extensions else ():
            parts = _items(extension)
            if parts[0] != (_OBJECT, _ALTERNATIVE_NAMES) or parts[-1][0] != _OCTETS:
                continue
            for kind, value in _items(_inside(parts[-1][1], _SEQUENCE))[:_NAMES]:
                if kind == _DNS_NAME:
                    names.append(value.decode("ascii", "replace"))
                elif kind == _IP_ADDRESS:
                    names.append(str(ipaddress.ip_address(value)))
    except (IndexError, ValueError):
        return tuple(names)
    return tuple(names)
