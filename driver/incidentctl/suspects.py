"""Who is suspected to be the cause, and whether something that was said speaks of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
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
    needs: tuple[Need, ...] = ()  # of other services, that lead to it

    @cached_property
    def paths(self) -> frozenset[str]:
        """The paths that it is about, and their disks."""
        told = [self.about, *(finding.about for finding in self.findings)]
        found = (about.get(key) for about in told for key in ("path", "disk"))
        return frozenset(path for path in found if isinstance(path, str) and path)

    @cached_property
    def targets(self) -> frozenset[str]:
        """The hosts that it is about."""
        return frozenset(finding.named("host") for finding in self.findings) - {""}


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
    if said.meaning not in suspect.rule.means:
        return False if said.meaning in suspect.rule.missed and _misses(said, suspect, case) else None
    if said.path and any(_is_within(said.path, place) for place in suspect.paths):
        return True if said.host in suspect.hosts else None
    if said.path and suspect.paths and suspect.service is None:
        return None  # it names another place; only a service's own configuration may lead there
    if (
        not suspect.is_change
        and said.names_host
        and (
            said.names_host in suspect.targets
            or any(case.seen.is_host(said.names_host, host) for host in suspect.hosts)
        )
    ):
        return True
    if said.host in suspect.hosts:
        same = suspect.service is None or said.service is None or said.service in suspect.services
        return False if same or suspect.kind == "not_running" else None
    return False if any(need.host == said.host for need in suspect.needs) else None


def _misses(said: Finding, suspect: Suspect, case: Case) -> bool:
    """Say whether it was said by a service that needs that of the suspect, and not of another host."""
    others = [host for host in case.seen.hosts if host not in suspect.hosts]
    if not suspect.services or any(case.seen.is_host(said.names_host, host) for host in others):
        return False
    return any((need.host, need.service) == (said.host, said.service) for need in suspect.needs)


def with_needs(suspect: Suspect, seen: Observations) -> Suspect:
    """Return the suspect with what of others leads to it: to its service, or to its host."""
    return replace(suspect, needs=tuple(need for need in seen.needs if _is_meant(need, suspect, seen)))


def _is_meant(need: Need, suspect: Suspect, seen: Observations) -> bool:
    if need.host in suspect.hosts and need.service in suspect.services:
        return False
    if suspect.kind == "dependency":
        return any(need.name == finding.named("name") for finding in suspect.findings)
    if suspect.services:
        return need.name in suspect.services
    return any(seen.is_host(there, host) for host in suspect.hosts for there in need.hosts)


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
    return place in (path, "/") or path.startswith(f"{place}/")
