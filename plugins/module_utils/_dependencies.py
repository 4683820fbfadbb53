"""Does what a service depends on answer? `tcp://host:port` connects, `http(s)://…` wants a 2xx."""

from __future__ import annotations

import socket
import time
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.incidentctl.response.plugins.module_utils import _http
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

TIMEOUT_S = 3.0
DETAIL_CHARS = 200


def check(dependency: dict[str, Any]) -> dict[str, Any]:
    """Given one entry of `depends_on`, ask once: {name, check, ok, detail}."""
    address = str(dependency["check"])
    ok, detail = _tcp(address) if address.startswith("tcp://") else _web(address, dependency.get("ca_file"))
    return _answer(dependency, ok, detail)


def late(dependency: dict[str, Any]) -> dict[str, Any]:
    """Return what `check` would, for one that has not answered in the time there was."""
    return _answer(dependency, False, "no answer in time")


def _answer(dependency: dict[str, Any], ok: bool, detail: str) -> dict[str, Any]:
    address = clean(str(dependency["check"]), DETAIL_CHARS)  # it may hold a password
    return {"name": dependency["name"], "check": address, "ok": ok, "detail": clean(detail, DETAIL_CHARS)}


def _tcp(address: str) -> tuple[bool, str]:
    started = time.monotonic()
    try:
        parts = urlsplit(address)
        if not parts.hostname or not parts.port:
            return False, f"not an address that can be checked: {address}"
        socket.create_connection((parts.hostname, parts.port), TIMEOUT_S).close()
    except (OSError, ValueError) as error:
        return False, getattr(error, "strerror", None) or str(error)
    return True, f"connected in {(time.monotonic() - started) * 1000:.0f} ms"


def _web(address: str, ca_file: str | None) -> tuple[bool, str]:
    answer = _http.call({"url": address, "timeout_s": TIMEOUT_S, "ca_file": ca_file})
    if answer["status"] is None:
        return False, f"no answer: {answer['error']}"
    if 200 <= answer["status"] < 300:
        return True, f"{answer['status']} in {answer['latency_ms']:.0f} ms"
    return False, f"{answer['status']}: {answer['body']}"
