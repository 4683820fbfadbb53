"""Does what a service depends on answer? Each protocol is spoken far enough to know, and the step that fails is told.

The checks of a host are asked at once, each under its own clock; nothing that a peer says is believed or kept whole.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _check_address,
    _check_dns,
    _check_postgresql,
    _check_redis,
    _check_tls,
    _http,
    _http_request,
    _line,
    _parallel,
    _resolvers,
    _trust,
)
from ansible_collections.incidentctl.response.plugins.module_utils._check_address import TIMEOUT_S, Check, Needs
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

DETAIL_CHARS = 200
_PROTOCOLS = {"postgresql": "PostgreSQL", "redis": "Redis", "rediss": "Redis"}
_GRACE_S = 1.0
_LONG_S = 3 * _resolvers.WITHIN_S  # what finding out about a name may take at the end of a check

Answer = dict[str, Any]


def ask_all(wanted: list[dict[str, Any]]) -> list[Answer]:
    """Given entries of `depends_on`, ask all at once, what is the same only once; return an answer for each, in order.

    An answer is {name, check, ok, detail, latency_ms, failing, host, port} and, where they could be asked for,
    `connections` {used, max}, `certificate` {days}, and of a name that does not resolve `resolver`, in one word.
    `failing` is the step that did not succeed: dns, connect, tls, login or answer; None where all did.
    """
    keys = [_key(dependency) for dependency in wanted]
    once = dict(zip(keys, wanted))
    within_s = max((_patience(dependency) for dependency in once.values()), default=0)
    answers = dict(zip(once, _parallel.each(check, list(once.values()), within_s)))
    return [_named(dependency, answers[key]) for key, dependency in zip(keys, wanted)]


def check(dependency: dict[str, Any]) -> Answer:
    """Given one entry of `depends_on`, ask."""
    wanted = _check_address.parse(dependency["check"])
    try:
        needs = _needs(wanted, dependency)
    except (OSError, ValueError) as error:  # a secret that is not there, an authority that is none
        return {"ok": False, "failing": None, "detail": clean(str(error), DETAIL_CHARS), "latency_ms": None}
    clock = _line.Clock(_timeout_s(dependency))
    try:
        found = {"ok": True, "failing": None, **_ask(wanted, needs, dependency, clock)}
    except _line.Failure as failure:
        found = {"ok": False, "failing": failure.step, "detail": failure.detail}
    found["latency_ms"] = clock.passed_ms
    return _with_resolver(found, wanted) if found["failing"] == "dns" else found


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
    if answer["status"] is None:
        raise _line.Failure(answer["failing"] or "answer", answer["error"])
    if not 200 <= answer["status"] < 300:
        raise _line.Failure("answer", _http.in_words(answer))
    return {"detail": f"{answer['status']} in {answer['latency_ms']:.0f} ms"}


def _with_resolver(found: Answer, wanted: Check) -> Answer:
    """Say of a name that does not resolve whose fault that is."""
    if wanted.server:
        return found
    state, told = _resolvers.why_not(_resolvers.ask_all(wanted.host))
    detail = found["detail"] if told in found["detail"] else f"{found['detail']}: {told}"
    return {**found, "detail": clean(detail, DETAIL_CHARS), "resolver": state}


def _named(dependency: dict[str, Any], found: Answer | None) -> Answer:
    wanted = _check_address.parse(dependency["check"])
    late = {"ok": False, "failing": "answer", "detail": "no answer in time", "latency_ms": None}
    names = {key: dependency[key] for key in ("name", "service") if key in dependency}
    return {**names, "check": dependency["check"], **(found or late), "host": wanted.host, "port": wanted.port}


def _key(dependency: dict[str, Any]) -> str:
    return repr(sorted((key, value) for key, value in dependency.items() if key not in ("name", "service")))


def _timeout_s(dependency: dict[str, Any]) -> float:
    return float(dependency.get("timeout_s", TIMEOUT_S))


def _patience(dependency: dict[str, Any]) -> float:
    return _timeout_s(dependency) + _LONG_S + _GRACE_S
