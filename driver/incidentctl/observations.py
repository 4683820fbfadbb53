"""What hosts said in a diagnosis, read with care: it may be of any shape, for hosts say it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from incidentctl import clocks, dependency_graph
from incidentctl.changes import span
from incidentctl.plan import Service
from incidentctl.text import plain

_MANY = 200  # findings, and changes, of one host that are looked at
_NAME = 120
_WRONG_S = 60  # a clock that is off by more may be why somebody is turned away
_OF_OTHERS = frozenset(
    {"certificate", "dependency", "dependency_slow"}
)  # times in what they say are of no host's clock


class Finding(NamedTuple):
    """What stands out on a host; `at` is when that was first seen, `began` when what it is about did: a deployment, say."""

    host: str
    severity: str
    kind: str
    text: str
    service: str | None
    at: datetime | None
    about: Mapping[str, Any]
    began: datetime | None = None
    meaning: str = ""  # what was said, in a word, and which path and host it named
    path: str = ""
    names_host: str = ""

    def named(self, key: str) -> str:
        """Return what it is about as a text, "" where it is not told."""
        value = self.about.get(key)
        return plain(value, _NAME) if isinstance(value, (str, int, float)) and value != "" else ""


class Need(NamedTuple):
    """A service of a host that depends on another, or on a host, by the check that was made."""

    host: str
    service: str
    name: str
    hosts: tuple[str, ...]  # those that run it, by the catalogue, or that the check goes to
    ok: bool  # its check succeeded


@dataclass(frozen=True)
class Observations:
    """All that was seen. `sick` and `well` are (host, service); one that nobody can judge is in neither."""

    hosts: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    needs: tuple[Need, ...] = ()
    sick: frozenset[tuple[str, str]] = frozenset()
    well: frozenset[tuple[str, str]] = frozenset()
    addresses: Mapping[str, str] = field(default_factory=dict)  # address → host

    @cached_property
    def said(self) -> Mapping[str, tuple[Finding, ...]]:
        """What errors and checks that fail said, by what it means."""
        meanings = sorted({finding.meaning for finding in self.findings} - {""})
        return {word: tuple(f for f in self.findings if f.meaning == word) for word in meanings}

    def is_host(self, name: str, host: str) -> bool:
        """Say whether a name or an address that somebody used means this host."""
        return name != "" and host in (name, self.addresses.get(name), name.partition(".")[0])


def read(
    hosts: Mapping[str, Any],
    silent: tuple[str, ...] = (),
    services: Iterable[Service] = (),
    addresses: Mapping[str, str] | None = None,
    ahead: Mapping[str, float] | None = None,
) -> Observations:
    """Given each host's facts of a diagnosis, return what they say; whatever has another shape is left out.

    `silent` are hosts that did not answer; `addresses` are the hosts' own, by host; `ahead` is by how many seconds the
    clock of a host is ahead of ours.
    """
    addresses = addresses or {}
    told = {host: facts for host in sorted(hosts) if isinstance(facts := hosts[host], Mapping)}
    ahead = ahead or {}
    findings = tuple(found for host, facts in told.items() for found in _findings(host, facts, ahead.get(host, 0.0)))
    contained = {(found.host, found.service) for found in findings if found.kind == "contained"}
    looks = {
        (host, name): look
        for host, facts in told.items()
        for name, look in services_of(facts)
        if (host, name) not in contained
    }
    sick = {key for key, look in looks.items() if _mapping(look.get("health")).get("healthy") is False}
    sick |= {
        (found.host, found.service)
        for found in findings
        if found.service and (found.kind in ("dependency", "release") or found.about.get("new") is True)
    }
    needs = tuple(_needs(looks, tuple(services), addresses))
    in_vain = {(host, need.name) for need in needs if not need.ok for host in need.hosts}
    # Its manager says that it runs; those who need it know better.
    well = {key for key, look in looks.items() if _mapping(look.get("health")).get("healthy") is True} - sick - in_vain
    return Observations(
        hosts=tuple(told),
        silent=tuple(sorted(silent)),
        findings=findings,
        needs=needs,
        sick=frozenset(sick),
        well=frozenset(well),
        addresses={address: host for host, address in addresses.items()},
    )


def moment(value: Any) -> datetime | None:
    """Return a time in ISO 8601 as one of UTC, None for anything else."""
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    return None


def _findings(host: str, facts: Mapping[str, Any], ahead: float) -> Iterator[Finding]:
    if abs(ahead) >= _WRONG_S:
        told = f"its clock is {span(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} ours"
        yield Finding(host, "warning", "clock", told, None, None, {"seconds": round(ahead, 1)})
    for row in _rows(facts.get("findings")):
        severity, kind, text, service = (row.get(key) for key in ("severity", "kind", "text", "service"))
        if isinstance(kind, str) and isinstance(text, str):
            name = plain(service, _NAME) if isinstance(service, str) and service else None
            about = _mapping(row.get("about"))
            at, deployed = (
                told and told - timedelta(seconds=ahead)
                for told in (moment(row.get("at")), moment(about.get("deployed_at")))
            )
            began = (
                None if "last_at" in about else deployed or at
            )  # what comes again and again began before its last time
            told = text if kind in _OF_OTHERS else clocks.put_right(text, facts, ahead)
            found = Finding(host, str(severity), plain(kind, _NAME), plain(told), name, at, about, began)
            yield _with_names(found)


def _with_names(found: Finding) -> Finding:
    names = _mapping(found.about.get("names"))
    path, host = (plain(names.get(key, ""), _NAME) for key in ("path", "host"))
    return found._replace(meaning=found.named("meaning"), path=path, names_host=host or found.named("host"))


def services_of(facts: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give the services that a host told of, and what it said of each."""
    for name, look in _mapping(facts.get("services")).items():
        if isinstance(look, Mapping):
            yield plain(name, _NAME), look


def _needs(
    looks: Mapping[tuple[str, str], Mapping[str, Any]], services: tuple[Service, ...], addresses: Mapping[str, str]
) -> Iterator[Need]:
    entries = dependency_graph.graph(services, addresses).entries
    runs = {service.name: service.hosts for service in services}
    names = {address: host for host, address in addresses.items()}
    for (host, service), look in looks.items():
        for row in _rows(_mapping(look.get("health")).get("depends_on")):
            if isinstance(name := row.get("name"), str):
                key, target = entries.get((service, name), name), _target(row)
                there = runs.get(key, (names.get(target, target),))
                yield Need(host, service, plain(key, _NAME), there, row.get("ok") is True)


def _target(row: Mapping[str, Any]) -> str:
    """Return the host that a dependency's check goes to, "" where that cannot be told."""
    if isinstance(host := row.get("host"), str):
        return plain(host, _NAME)
    try:
        return plain(urlsplit(str(row.get("check", ""))).hostname or "", _NAME)
    except ValueError:
        return ""


def _rows(value: Any) -> list[Mapping[str, Any]]:
    return [row for row in value[:_MANY] if isinstance(row, Mapping)] if isinstance(value, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
