"""What speaks for a suspect, and what against it: each a fact of a host, with points. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from incidentctl import cause_rules as rules
from incidentctl.cause_rules import Rule
from incidentctl.observations import Finding, Observations
from incidentctl.text import plain

_ABOUT = 12  # names and figures of a suspect that are kept
_SAID = 90
_LARGEST = 1e18


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


class Evidence(NamedTuple):
    """Points for (or, below 0, against) a suspect, and why; without a text it is not told."""

    points: int
    text: str = ""


def hear(suspect: Suspect, case: Case) -> list[Evidence]:
    """Return all that speaks for a suspect and against it; the points of all together are its rank."""
    found = [Evidence(suspect.rule.prior), Evidence(rules.SEVERE.get(suspect.severity, 0))]
    for witness in (_errors, _itself, _time, _places, _needed, _deeper):
        found += witness(suspect, case)
    return found


def small(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what something is about, bounded: names and figures only."""
    kept = [(key, value) for key, value in about.items() if isinstance(value, str) or _is_figure(value)][:_ABOUT]
    return {plain(key, 40): plain(value) if isinstance(value, str) else value for key, value in kept}


def _is_figure(value: Any) -> bool:
    """Figures that JSON has no word for, or that nobody can read, are none."""
    return isinstance(value, (int, float)) and abs(value) < _LARGEST


def _errors(suspect: Suspect, case: Case) -> Iterator[Evidence]:
    """The logs say just this."""
    if suspect.kind == "errors":
        return
    heard = [
        (error, named)
        for error in case.seen.findings
        if "error" in error.about
        and error not in suspect.findings
        and (named := fits(suspect, error, case)) is not None
    ]
    heard.sort(key=lambda pair: (not pair[1], pair[0].host, pair[0].text))
    for number, (error, named) in enumerate(heard[:3]):
        points = (rules.NAMED if named else rules.SAID) if number == 0 else 2
        yield Evidence(points, f"{error.host}: {_said(error)}")


def fits(suspect: Suspect, error: Finding, case: Case) -> bool | None:
    """Say whether an error speaks of this suspect: True if it names it, too; None if it does not speak of it."""
    if error.named("meaning") not in suspect.rule.means:
        return None
    names = error.about.get("names")
    names = names if isinstance(names, Mapping) else {}
    path, host = str(names.get("path", "")), str(names.get("host", ""))
    if host and any(case.seen.is_host(host, each) for each in suspect.hosts):
        return True
    places = [finding.named("path") for finding in suspect.findings] + [str(suspect.about.get("path", ""))]
    if path and any(_is_within(path, place) for place in places if place):
        return True if error.host in suspect.hosts else None
    targets = {finding.named("host") for finding in suspect.findings} - {""}
    if host and host in targets:
        return True
    if error.host in suspect.hosts:
        same = suspect.service is None or error.service is None or error.service in suspect.services
        return False if same or suspect.kind == "not_running" else None
    needs = {need.host for need in case.seen.needs if _meant(need, suspect, case)}
    return False if error.host in needs else None


def _itself(suspect: Suspect, _case: Case) -> Iterator[Evidence]:
    """An error is a lead if it is new, and if it is known what it means."""
    for finding in suspect.findings[:1]:
        if suspect.kind == "errors" and finding.about.get("new") is True:
            yield Evidence(rules.NEW, f"{finding.host}: it came after the release, not before")
        if suspect.kind == "errors" and finding.named("meaning"):
            yield Evidence(rules.MEANT)


def _time(suspect: Suspect, case: Case) -> Iterator[Evidence]:
    """It began shortly before the trouble, or not."""
    if suspect.at is None or case.began is None or suspect.rule.symptom:
        return
    before = (case.began - suspect.at).total_seconds()
    clock, gap = f"{suspect.at:%H:%M:%S} UTC", _span(abs(before))
    what = f"{suspect.hosts[0]}: {'changed' if suspect.is_change or suspect.kind == 'release' else 'began'} {clock}"
    if before < -rules.SLACK_S:
        yield Evidence(rules.AFTER, f"{what}, {gap} after the trouble began")
    elif before <= rules.JUST_BEFORE_S:
        changed = suspect.is_change or suspect.kind == "release"
        points = rules.CHANGED_JUST_BEFORE if changed else rules.BEGAN_JUST_BEFORE
        yield Evidence(points, f"{what}, {gap} before the trouble began")
    elif before <= rules.SOMEWHAT_BEFORE_S:
        yield Evidence(rules.SOMEWHAT_BEFORE, f"{what}, {gap} before the trouble began")
    else:
        yield Evidence(rules.LONG_BEFORE, f"{what}, {gap} before the trouble began")


def _places(suspect: Suspect, case: Case) -> Iterator[Evidence]:
    """Those who have it are sick, and nobody else; or not."""
    reach = _reach(suspect, case)
    ours = suspect.services or {service for _host, service in reach | case.seen.well}
    sick = {(host, service) for host, service in case.seen.sick if service in ours}
    well = {(host, service) for host, service in case.seen.well if service in ours}
    those = sick & reach
    if not those:
        if case.seen.sick and not suspect.rule.symptom:
            yield Evidence(rules.NOBODY_SICK, f"{_listed(suspect.hosts)}: nothing that is sick runs there or needs it")
        return
    with_it = {(host, service) for host, service in well if host in suspect.hosts and _judges(suspect, those, host)}
    without = {(host, service) for host, service in sick - reach if suspect.services}
    told = "; ".join(f"{service} is sick on {_listed(_hosts(those, service))}" for service in _services(those))
    if with_it:
        yield Evidence(rules.WELL_WITH_IT, f"{_listed(_hosts(with_it))}: {_listed(_services(with_it))} is well with it")
    if without:
        yield Evidence(
            rules.WITHOUT_IT, f"{_listed(_hosts(without))}: {_listed(_services(without))} is sick without it"
        )
    if well - with_it and suspect.services and not with_it and not without and not suspect.rule.symptom:
        yield Evidence(rules.ONLY_THE_SICK, f"{told}; well without it on {_listed(_hosts(well))}")
    elif not suspect.rule.symptom:
        yield Evidence(rules.SICK_THERE, told)
    if len(suspect.hosts) > 1:
        yield Evidence(rules.SEVERAL_HOSTS)
    if users := sorted(case.user_facing.intersection(service for _host, service in those)):
        yield Evidence(rules.USERS_SEE_IT, "" if suspect.rule.symptom else f"{_listed(users)}: users see it")


def _judges(suspect: Suspect, sick: set[tuple[str, str]], host: str) -> bool:
    """Say whether a well service tells against it: its own does; of a whole host's, where nothing at all is sick."""
    return bool(suspect.services) or host not in _hosts(sick)


def _needed(suspect: Suspect, case: Case) -> Iterator[Evidence]:
    """Sick services of other hosts need it."""
    seen: dict[tuple[str, str], str] = {}
    for need in case.seen.needs:
        if (need.host, need.service) in case.seen.sick and _meant(need, suspect, case):
            seen.setdefault((need.service, need.name), need.host)
    for number, ((service, name), host) in enumerate(sorted(seen.items())[:3]):
        yield Evidence(rules.NEEDED_MORE if number else rules.NEEDED, f"{host}: {service}, which is sick, needs {name}")


def _deeper(suspect: Suspect, case: Case) -> Iterator[Evidence]:
    """Something deeper explains it."""
    for other in case.suspects:
        if other is not suspect and (why := _explains(other, suspect, case)):
            yield Evidence(rules.EXPLAINED, why)
            return


def _explains(deep: Suspect, shallow: Suspect, case: Case) -> str:
    """Say why a suspect is explained by a deeper one, "" if it is not."""
    if deep.is_change or deep.severity == "info" or not _stands_behind(deep, shallow, case):
        return ""
    return f"{_listed(deep.hosts)}: explained by '{_short(deep.text)}'"


def _stands_behind(deep: Suspect, shallow: Suspect, case: Case) -> bool:
    together = bool(set(deep.hosts) & set(shallow.hosts) and deep.services & shallow.services)
    if deep.kind in ("not_running", "silent") and shallow.kind == "dependency":
        failing = {finding.named("name") for finding in shallow.findings}
        return any(_meant(need, deep, case) for need in case.seen.needs if need.name in failing)
    if shallow.kind in ("errors", "release"):
        return deep.kind != "release" and any(fits(deep, error, case) is not None for error in shallow.findings)
    if deep.rule.symptom:
        return together and deep.kind in ("not_running", "dependency") and shallow.kind == "unhealthy"
    if shallow.kind not in ("unhealthy", "not_running", "dependency"):
        return False
    if deep.kind == "release":
        return together
    said = (e for e in case.seen.findings if e.host in shallow.hosts and e.service in shallow.services)
    return any(fits(deep, error, case) is not None for error in said)


def _reach(suspect: Suspect, case: Case) -> set[tuple[str, str]]:
    """Return the (host, service) that a suspect can make sick: those that have it, and those that need it."""
    own = {
        (host, service)
        for host, service in case.seen.sick
        if host in suspect.hosts and (not suspect.services or service in suspect.services)
    }
    return own | {(need.host, need.service) for need in case.seen.needs if _meant(need, suspect, case)}


def _meant(need: Any, suspect: Suspect, case: Case) -> bool:
    """Say whether this is what a service needs: the service of that name, or one of a host that it goes to."""
    if need.host in suspect.hosts and need.service in suspect.services:
        return False
    if suspect.services and need.name in suspect.services:
        return True
    if suspect.kind == "dependency":
        return any(need.name == finding.named("name") for finding in suspect.findings)
    return any(case.seen.is_host(need.target, host) for host in suspect.hosts)


def _is_within(path: str, place: str) -> bool:
    return place in (path, "/") or PurePosixPath(path).is_relative_to(place)


def _said(error: Finding) -> str:
    since = f" since {error.at:%H:%M:%S} UTC" if error.at else ""
    count = error.named("count")
    return f"{error.service or 'a service'} says '{_short(error.named('said'))}' {count} times{since}"


def _short(text: str) -> str:
    return text if len(text) <= _SAID else f"{text[: _SAID - 1]}…"


def _hosts(pairs: set[tuple[str, str]], of: str | None = None) -> list[str]:
    return sorted({host for host, service in pairs if of in (None, service)})


def _services(pairs: set[tuple[str, str]]) -> list[str]:
    return sorted({service for _host, service in pairs})


def _listed(names: Any) -> str:
    names = list(names)
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
