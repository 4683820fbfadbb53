"""What the services' health says about the severity: a suggestion, with the rule that fired. Pure.

A person decides. When it is not known how a service is, it counts as down: when unsure, take the higher.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from incidentctl.causes import Cause
from incidentctl.plan import Service

# Host → service → its health, as health_check has it. A host that is missing did not answer.
Seen = Mapping[str, Mapping[str, Mapping[str, Any]]]
# How a service can be, the best first.
STATES = ("well", "a dependency fails", "down on some hosts", "down")
_LIKELY = 60  # a score from which on a cause counts, though every service still says that it is healthy


@dataclass(frozen=True)
class Suggestion:
    """A severity, and the rule that led to it."""

    severity: str
    rule: str


def states(services: Iterable[Service], hosts: Iterable[str], seen: Seen) -> dict[str, str]:
    """Return by name how each service is (one of STATES), as far as its hosts are among `hosts`."""
    meant = set(hosts)
    return {
        service.name: _state(service.name, here, seen)
        for service in services
        if (here := [host for host in service.hosts if host in meant])
    }


def suggest(
    services: Sequence[Service],
    hosts: Sequence[str],
    seen: Seen,
    monitoring: Mapping[str, Any] | None = None,
    causes: Sequence[Cause] = (),
) -> Suggestion:
    """Given the services in scope and what was seen of them, by the monitoring and by a diagnosis, return the suggestion."""
    found = states(services, hosts, seen)
    user_facing = {service.name for service in services if service.user_facing}

    def those(state: str, theirs: bool) -> str:
        return ", ".join(sorted(n for n, s in found.items() if s == state and (n in user_facing) is theirs))

    alarms = [str(alarm) for kind in ("down", "alerts") for alarm in (monitoring or {}).get(kind) or []]
    grave = [cause for cause in causes if cause.severity == "critical" and cause.score >= _LIKELY]
    theirs = sorted({cause.service for cause in grave if cause.service in user_facing})
    rules = (
        ("critical", those("down", True), "user-facing and down on all its hosts"),
        ("high", those("down on some hosts", True), "user-facing and down on some of its hosts"),
        ("high", those("a dependency fails", True), "user-facing, and something that it depends on fails"),
        ("high", ", ".join(map(str, theirs)), "user-facing, and its errors or state are critical, though it answers"),
        ("medium", those("down", False), "down, but not user-facing"),
        ("medium", those("down on some hosts", False), "down on some of its hosts, but not user-facing"),
        ("medium", those("a dependency fails", False), "something that it depends on fails, but not user-facing"),
        (
            "medium",
            ", ".join(cause.title for cause in grave[:1]),
            "critical, though every service says that it is healthy",
        ),
        ("medium", ", ".join(alarms[:3]), "the monitoring reports it, though every service says that it is healthy"),
    )
    for severity, names, rule in rules:
        if names:
            silent = sorted(host for host in hosts if host not in seen)
            unsure = f" (no answer from {', '.join(silent)}: counted as down)" if silent else ""
            return Suggestion(severity, f"{names}: {rule}{unsure}")
    mute = sorted({name for looks in seen.values() for name, look in looks.items() if look.get("healthy") is None})
    told = f", but nothing tells how {', '.join(mute)} is" if mute else ": every service says that it is healthy"
    return Suggestion("low", f"nothing is seen to be wrong{told}")


def _state(name: str, hosts: Sequence[str], seen: Seen) -> str:
    looks: list[Mapping[str, Any]] = [
        seen[host].get(name, {}) if host in seen else {"healthy": False} for host in hosts
    ]
    down = [look for look in looks if look.get("healthy") is False]
    if down:
        return "down" if len(down) == len(looks) else "down on some hosts"
    failing = any(needed.get("ok") is False for look in looks for needed in look.get("depends_on") or [])
    return "a dependency fails" if failing else "well"
