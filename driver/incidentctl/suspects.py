"""Who is suspected to be the cause, and whether something that was said speaks of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from incidentctl.cause_rules import Rule
from incidentctl.dependencies import Root
from incidentctl.observations import Finding, Need, Observations
from incidentctl.text import plain

_ABOUT = 12  # names and figures of a suspect that are kept
_SHORT = 90
_LARGEST = 1e18
_FEW = 4


@dataclass(frozen=True)
class Suspect:
    """What may be the cause. `service` is None for a whole host; `services` are all that it was found for."""

    key: tuple[str, ...]
    kind: str
    rule: Rule
    text: str
    service: str | None
    services: frozenset[str]
    hosts: tuple[str, ...]
    severity: str
    at: datetime | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    is_change: bool = False


@dataclass(frozen=True)
class Case:
    """All that is known when a suspect is judged. `began` is when the trouble did."""

    seen: Observations
    began: datetime | None
    suspects: tuple[Suspect, ...]
    user_facing: frozenset[str]
    roots: tuple[Root, ...] = ()  # what fails while nothing that it depends on does, the deepest first


def fits(suspect: Suspect, said: Finding, case: Case) -> bool | None:
    """Say whether what was said speaks of this suspect: True if it names it, too; None if it does not speak of it."""
    if said.named("meaning") not in suspect.rule.means:
        return None
    names = said.about.get("names")
    names = names if isinstance(names, Mapping) else {}
    path, host = str(names.get("path", "")), str(names.get("host", "")) or said.named("host")
    if host and any(case.seen.is_host(host, each) for each in suspect.hosts):
        return True
    if path and any(_is_within(path, place) for place in paths_of(suspect)):
        return True if said.host in suspect.hosts else None
    if host and host in {finding.named("host") for finding in suspect.findings}:
        return True
    if said.host in suspect.hosts:
        same = suspect.service is None or said.service is None or said.service in suspect.services
        return False if same or suspect.kind == "not_running" else None
    needs = {need.host for need in case.seen.needs if is_meant(need, suspect, case)}
    return False if said.host in needs else None


def is_meant(need: Need, suspect: Suspect, case: Case) -> bool:
    """Say whether this is what a service needs: a service that is suspected, or one of a suspected host."""
    if need.host in suspect.hosts and need.service in suspect.services:
        return False
    if suspect.kind == "dependency":
        return any(need.name == finding.named("name") for finding in suspect.findings)
    if suspect.services:
        return need.name in suspect.services
    return any(case.seen.is_host(there, host) for host in suspect.hosts for there in need.hosts)


def paths_of(suspect: Suspect) -> set[str]:
    """Return the paths that a suspect is about, and their disks."""
    told = [suspect.about, *(finding.about for finding in suspect.findings)]
    return {path for about in told for key in ("path", "disk") if isinstance(path := about.get(key), str) and path}


def small(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what something is about, bounded: names and figures only."""
    kept = [(key, value) for key, value in about.items() if isinstance(value, str) or _is_figure(value)][:_ABOUT]
    return {plain(key, 40): plain(value) if isinstance(value, str) else value for key, value in kept}


def short(text: str) -> str:
    """Return a text cut to what one line of evidence has room for."""
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def listed(names: Iterable[str]) -> str:
    """Return the first few names, and how many more there are."""
    names = list(names)
    return ", ".join(names[:_FEW]) + (f" and {len(names) - _FEW} more" if len(names) > _FEW else "")


def _is_figure(value: Any) -> bool:
    """Figures that JSON has no word for, or that nobody can read, are none."""
    return isinstance(value, (int, float)) and abs(value) < _LARGEST


def _is_within(path: str, place: str) -> bool:
    return place in (path, "/") or PurePosixPath(path).is_relative_to(place)
