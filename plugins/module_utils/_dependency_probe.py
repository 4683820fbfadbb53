"""One look at one dependency: asked in its own protocol, under one clock."""

from __future__ import annotations

import socket
import struct
from datetime import datetime, timezone
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _certificates,
    _check_dns,
    _check_postgresql,
    _check_redis,
    _check_tls,
    _finding,
    _http,
    _http_request,
    _line,
    _resolvers,
    _trust,
)
from ansible_collections.incidentctl.response.plugins.module_utils._check_address import Check, Needs
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

DETAIL_CHARS = 200
AFTER_S = _resolvers.WITHIN_S + 0.5  # what finding out why may take when the time of a check is over
_PROTOCOLS = {"postgresql": "PostgreSQL", "redis": "Redis", "rediss": "Redis"}

Answer = dict[str, Any]


def look(wanted: Check, dependency: dict[str, Any], within_s: float) -> Answer:
    """Ask once: {ok, detail, latency_ms, failing}, and more where it could be seen (`_dependencies.ask_all`).

    `ok` is None where we could not ask.
    """
    try:
        needs = _needs(wanted, dependency)
        clock = _line.Clock(within_s)
        found = _told(wanted, needs, dependency, clock)
    except (OSError, ValueError) as error:  # a secret that is not there, an authority that is none
        detail = clean(f"could not be asked: {error}", DETAIL_CHARS)
        return {"ok": None, "failing": None, "detail": detail, "latency_ms": None}
    if found["failing"] == "dns":
        return _with_resolver(found, wanted)
    if found["failing"] == "tls" and _line.UNTRUSTED in found["detail"]:
        return _with_certificate(found, wanted)
    return found


def _told(wanted: Check, needs: Needs, dependency: dict[str, Any], clock: _line.Clock) -> Answer:
    try:
        found = {"ok": True, "failing": None, **_ask(wanted, needs, dependency, clock)}
    except _line.Failure as failure:
        found = {"ok": False, "failing": failure.step, "detail": failure.detail}
    found["latency_ms"] = clock.passed_ms
    return found if clock.connected_ms is None else {**found, "connect_ms": clock.connected_ms}


def _needs(wanted: Check, dependency: dict[str, Any]) -> Needs:
    """Read the secret, and the authorities. Raise SecretError or ValueError, whose words tell no secret."""
    if wanted.kind in ("http", "https"):
        return Needs()  # which makes its own
    secret = _http_request.kept(dependency["secret_ref"])[1] if "secret_ref" in dependency else None
    if wanted.kind == "postgresql":
        verify = wanted.option == "verify-full" or "ca_file" in dependency
        return Needs(secret, None if wanted.option == "disable" else _trust.context(dependency.get("ca_file"), verify))
    secured = wanted.kind in ("tls", "rediss")
    return Needs(secret, _trust.context(dependency.get("ca_file")) if secured else None)


def _ask(wanted: Check, needs: Needs, dependency: dict[str, Any], clock: _line.Clock) -> dict[str, Any]:
    if wanted.kind == "tcp":
        _line.connect(wanted.host, wanted.port, clock).sock.close()
        return {"detail": f"connected in {clock.passed_ms:.0f} ms"}
    if wanted.kind in ("http", "https"):
        return _web(dependency, clock)
    ask = {"dns": _check_dns, "postgresql": _check_postgresql, "tls": _check_tls}.get(wanted.kind, _check_redis).ask
    try:
        return ask(wanted, needs, clock)
    except (TimeoutError, socket.timeout) as error:
        raise _line.Failure("answer", f"no complete answer within {clock.seconds:g} s") from error
    except (struct.error, IndexError, ValueError) as error:  # of what a peer sent that is something else
        raise _line.Failure("answer", f"what came back is not {_PROTOCOLS.get(wanted.kind, wanted.kind)}") from error


def _web(dependency: dict[str, Any], clock: _line.Clock) -> dict[str, Any]:
    wanted = {key: dependency[key] for key in ("ca_file", "secret_ref") if key in dependency}
    answer = _http.call({"url": dependency["check"], "timeout_s": clock.seconds, **wanted})
    clock.connected_ms = answer["connect_ms"]
    if answer["status"] is None and answer["failing"] is None:
        raise ValueError(answer["error"])
    if answer["status"] is None:
        raise _line.Failure(answer["failing"], answer["error"])
    if not 200 <= answer["status"] < 300:
        raise _line.Failure("answer", f"answered {_http.in_words(answer)}")
    return {"detail": f"{answer['status']} in {answer['latency_ms']:.0f} ms"}


def _with_resolver(found: Answer, wanted: Check) -> Answer:
    """Say of a name that does not resolve whose fault that is."""
    if wanted.server:
        return found
    state, told = _resolvers.why_not(_resolvers.ask_all(wanted.host))
    detail = found["detail"] if told in found["detail"] else f"{found['detail']}: {told}"
    return {**found, "detail": clean(detail, DETAIL_CHARS), "resolver": state}


def _with_certificate(found: Answer, wanted: Check) -> Answer:
    """Say of a certificate that is not trusted when it was valid: that it has expired is the most frequent fault."""
    if wanted.kind == "postgresql":  # TLS begins within its own protocol there
        return found
    name = wanted.option if wanted.kind == "tls" and wanted.option else wanted.host
    try:
        shown = _certificates.of_server(wanted.host, wanted.port, name, AFTER_S)
    except (OSError, ValueError):
        return found
    now = datetime.now(timezone.utc)
    days = _certificates.days_left(shown, now)
    if shown.not_before <= now <= shown.not_after:
        return {**found, "certificate": {"days": round(days, 1)}}
    late = now > shown.not_after
    moment = shown.not_after if late else shown.not_before
    span = _finding.span(abs((now - moment).total_seconds()))
    told = f"its certificate {f'expired {span} ago' if late else f'is valid only in {span}'} ({moment:%Y-%m-%d %H:%M:%S} UTC)"
    return {**found, "detail": told, "certificate": {"days": round(days, 1)}}
