"""The certificates of this host's services: those that its TLS ports show, and those that its configuration names.

Only a port that is known to speak TLS is asked: to another the hello would be an error in its log.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.incidentctl.response.plugins.module_utils import _certificates, _parallel
from ansible_collections.incidentctl.response.plugins.module_utils._certificates import Certificate
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

WITHIN_S = 4.0
FILES = 60  # looked into, of all services
PORTS = 20
_ENTRIES = 2000  # of folders, of all services
_DEEP = 3
_LARGEST = 256 * 1024  # bytes of a file
_FILES_S = 1.0
# Ports that always speak TLS: https and its usual others, LDAP, mail, AMQP, Kubernetes, Docker.
_TLS_PORTS = frozenset({443, 465, 636, 993, 995, 2376, 4443, 5671, 6443, 8443, 9443})
_ENDINGS = (".crt", ".pem", ".cer", ".cert")
_CONFIGURATION = (".conf", ".cfg", ".ini", ".yml", ".yaml", ".toml", ".env", ".properties")
_NAMED = re.compile(rb"(?<![\w./-])(/[\w./-]{1,200}\.(?:crt|pem|cer|cert))\b")
_TEXT_CHARS = 200

Facts = dict[str, Any]


def look(services: Sequence[Facts]) -> list[Facts]:
    """Return the certificates, each once, those that are shown first.

    {service, host, port, path, name, is_for_host, not_before, not_after}: `host` is who was asked for, `path` the file; times are
    in ISO 8601. What cannot be reached or read has none: that is for health checks to tell.
    """
    asked = list(dict.fromkeys(place for service in services for place in _places(service)))[:PORTS]
    shown = _parallel.each(_of_server, asked, WITHIN_S)
    found = [
        _told(certificate, name, host=host, port=port)
        for (name, _where, port, host), certificate in zip(asked, shown)
        if certificate is not None
    ]
    known = {(row["name"], row["not_after"]) for row in found}
    for name, path, certificate in _in_files(services):
        row = _told(certificate, name, path=str(path))
        if (row["name"], row["not_after"]) not in known:
            known.add((row["name"], row["not_after"]))
            found.append(row)
    return found


def _places(service: Facts) -> Iterator[tuple[str, str, int, str]]:
    """Give the TLS ports of a service on this host: (service, whom to ask, port, for which name)."""
    try:
        url = urlsplit(service.get("health", {}).get("url", ""))
        host, port = url.hostname or "localhost", url.port or 443
    except ValueError:
        return
    if url.scheme == "https":
        yield service["name"], host, port, host
    for number in service.get("ports", []):
        if str(number).isdigit() and int(number) in _TLS_PORTS and (url.scheme, port) != ("https", int(number)):
            yield service["name"], "127.0.0.1", int(number), "localhost"


def _of_server(place: tuple[str, str, int, str]) -> Certificate | None:
    _service, where, port, host = place
    try:
        return _certificates.of_server(where, port, host)
    except (OSError, ValueError):
        return None


def _in_files(services: Sequence[Facts]) -> Iterator[tuple[str, Path, Certificate]]:
    """Give the certificates in the configuration of services, and in files that it names: of each file the first one."""
    until, seen = time.monotonic() + _FILES_S, set()
    for service in services:
        waiting = [path for place in service.get("config", []) for path in _files(Path(place))]
        while waiting and len(seen) < FILES and time.monotonic() < until:
            path = waiting.pop(0)
            if path in seen:
                continue
            seen.add(path)
            said = _read(path)
            if path.suffix not in _ENDINGS:
                waiting += [Path(os.fsdecode(name)) for name in dict.fromkeys(_NAMED.findall(said))]
                continue
            try:
                certificate = _certificates.first_of(said)
            except ValueError:
                continue
            if certificate is not None:
                yield service["name"], path, certificate


def _files(place: Path) -> list[Path]:
    """Return the files of a configuration that are certificates, or text that may name some; links are not followed."""
    if not os.path.isdir(place):  # noqa: PTH112 - Path's own raises where we may not look
        return [place]
    found: list[Path] = []
    entries = 0
    for folder, folders, names in os.walk(place):
        if len(Path(folder).relative_to(place).parts) >= _DEEP:
            folders.clear()
        entries += len(names) + len(folders)
        found += [Path(folder) / name for name in sorted(names) if name.endswith((*_ENDINGS, *_CONFIGURATION))]
        if entries > _ENTRIES or len(found) > FILES:
            break
    return sorted(found, key=lambda path: path.suffix not in _ENDINGS)


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():  # a pipe would hold us up
            return b""
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except OSError:
        return b""


def _told(certificate: Certificate, service: str, **where: Any) -> Facts:
    return {
        "service": service,
        "host": where.get("host"),
        "port": where.get("port"),
        "path": where.get("path"),
        "name": clean(certificate.subject or ", ".join(certificate.names[:1]), _TEXT_CHARS),
        "is_for_host": _certificates.is_for(certificate, where["host"]) if "host" in where else None,
        "not_before": certificate.not_before.isoformat(timespec="seconds"),
        "not_after": certificate.not_after.isoformat(timespec="seconds"),
    }
