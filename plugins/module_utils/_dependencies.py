"""Does what a service depends on answer? Each protocol is spoken far enough to know, and the step that fails is told.

The checks of a host are asked at once, each under its own clock; nothing that a peer says is believed or kept whole.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _check_address, _dependency_probe, _parallel
from ansible_collections.incidentctl.response.plugins.module_utils._check_address import TIMEOUT_S

SLOW_MS = 1000.0
_AGAIN = 2  # further looks at what was slow
_GRACE_S = 1.0

Answer = dict[str, Any]


def ask_all(wanted: list[dict[str, Any]]) -> list[Answer]:
    """Given entries of `depends_on`, ask all at once, what is the same only once; return an answer for each, in order.

    An answer is {name, service, check, ok, detail, latency_ms, failing, host, port} and, where they could be seen,
    `connect_ms`, `connections` {used, max}, `certificate` {days}; of a name that does not resolve `resolver`, in one
    word; and of one that was slow `slow` and `probes`, the milliseconds of each look.
    `failing` is the step that did not succeed: dns, connect, tls, login or answer; None where all did. `ok` is None
    where we could not ask.
    """
    keys = [_key(dependency) for dependency in wanted]
    once = dict(zip(keys, wanted))
    within_s = max((_patience(dependency) for dependency in once.values()), default=0)
    answers = dict(zip(once, _parallel.each(check, list(once.values()), within_s)))
    return [_named(dependency, answers[key]) for key, dependency in zip(keys, wanted)]


def check(dependency: dict[str, Any]) -> Answer:
    """Given one entry of `depends_on`, ask; and if the answer was slow, twice more: once may be a blip."""
    wanted = _check_address.parse(dependency["check"])
    timeout_s, slow_ms = _timeout_s(dependency), float(dependency.get("slow_ms", SLOW_MS))
    first = _dependency_probe.look(wanted, dependency, timeout_s)
    if not first["ok"] or first["latency_ms"] < slow_ms:
        return first
    looks = [first, *(_dependency_probe.look(wanted, dependency, timeout_s) for _look in range(_AGAIN))]
    failed = [look for look in looks if not look["ok"]]
    if len(failed) > 1:
        return failed[-1]
    slow = [look for look in looks if not look["ok"] or look["latency_ms"] >= slow_ms]
    told = sorted((look for look in looks if look["ok"]), key=lambda look: float(look["latency_ms"]))[-2]
    return {**told, "slow": len(slow) > 1, "probes": [look["latency_ms"] for look in looks]}


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
    """How long one may take in all: a name server can hang far beyond a timeout."""
    return (1 + _AGAIN) * _timeout_s(dependency) + _dependency_probe.AFTER_S + _GRACE_S
