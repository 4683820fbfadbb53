"""What a service depends on and does not have, or has too slowly. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._contained import Contained
from ansible_collections.incidentctl.response.plugins.module_utils._finding import Finding, finding

# What of an answer joins it with what else is known.
_ABOUT = ("name", "check", "detail", "failing", "host", "port", "resolver", "connections", "certificate", "latency_ms")
_NEARLY_ALL = 0.9  # of the connections of a database
_LONG_AGO = -7.0  # days: nobody who verified it would have come so far
_DAYS = ((2.0, "warning"), (14.0, "info"))  # until a certificate ends: while it is valid, nothing fails because of it


def of_dependencies(name: str, health: Mapping[str, Any], contained: Mapping[str, Contained]) -> Iterator[Finding]:
    """Given a service's health, and what of this host the incident itself has stopped, say what it lacks."""
    for answer in health["depends_on"]:
        about = {key: answer[key] for key in _ABOUT if answer.get(key) is not None}
        what = f"{name}: its dependency {answer['name']} ({answer['check']})"
        by = needed(answer, contained)
        if answer["ok"] is False and by is not None:
            yield finding("info", "contained", f"{name}: its dependency {answer['name']} {_was(by)}", name, by=by.by)
        elif answer["ok"] is False:
            yield finding("critical", "dependency", f"{what} fails: {answer['detail']}", name, **about)
        elif answer.get("slow"):
            yield finding("warning", "dependency_slow", f"{what} is slow: {_times(answer)}", name, **about)
        yield from _short(name, answer, about)


def needed(answer: Mapping[str, Any], contained: Mapping[str, Contained]) -> Contained | None:
    """Return how the service that a dependency is was stopped by this incident on this host, None if it was not."""
    return contained.get(str(answer.get("service", answer["name"])))


def _short(name: str, answer: Mapping[str, Any], about: dict[str, Any]) -> Iterator[Finding]:
    """Return what is nearly used up: connections, or the time of a certificate."""
    seen = answer.get("connections")
    if seen and seen["used"] >= _NEARLY_ALL * seen["max"]:
        text = f"{name}: its dependency {answer['name']} has {seen['used']} of {seen['max']} connections in use"
        yield finding("warning", "database_connections", text, name, **about, **seen)
    days = (answer.get("certificate") or {}).get("days")
    if answer["ok"] and days is not None:
        severity = "info" if days < _LONG_AGO else next((severity for least, severity in _DAYS if days < least), None)
        if severity:
            how = (
                f"ends in {days:.1f} days"
                if days >= 0
                else f"expired {-days:.1f} days ago, and who verifies it turns away"
            )
            text = f"{name}: the certificate of its dependency {answer['name']} {how}"
            yield finding(severity, "certificate", text, name, **about, days=days)


def _times(answer: Mapping[str, Any]) -> str:
    probes = ", ".join("no answer" if probe is None else f"{probe:.0f}" for probe in answer.get("probes", ()))
    connected = f" (connected in {answer['connect_ms']:.0f} ms)" if answer.get("connect_ms") is not None else ""
    return f"{answer['detail']}{connected}; {probes} ms"


def _was(by: Contained) -> str:
    return str(by) if by.along else f"was {by}"
