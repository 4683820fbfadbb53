"""What is the likeliest cause: each suspect with what speaks for and against it, from the facts of all hosts. Pure.

A suspect is a finding that may be a cause, or a change shortly before the trouble began. The same on several hosts is
one. Witnesses say what speaks for and against it; each of their lines is a fact of a host.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from incidentctl import witnesses
from incidentctl.cause_rules import CHANGES, DAY_S, NEVER, OTHER, OTHER_CHANGE, RULES, SLACK_S, TOPICS, VAGUE, Rule
from incidentctl.changes import Row
from incidentctl.dependencies import Root
from incidentctl.findings import same_templates
from incidentctl.observations import Finding, Observations, moment
from incidentctl.plan import Service
from incidentctl.suspects import Case, Suspect, small, with_needs
from incidentctl.text import plain

_SUSPECTS, _CHANGES = 300, 50  # that are looked at, those of most weight first: time grows with their square
KEPT = 12  # causes, and of each the lines for it and against it
_LINES = 6
_SEVERITIES = ("critical", "warning", "info")
# A dependency fails at a step of its check, and that is the cause rather than the dependency.
_STEPS = {"dns": "name_resolution", "tls": "certificate", "login": "login"}
_TOO_LATE = "no complete answer within"  # the collection's _http and _line


@dataclass(frozen=True)
class Cause:
    """One cause: how likely it is (`score`, 0 to 100), where, and what speaks for it and against it."""

    title: str
    kind: str
    service: str | None
    hosts: tuple[str, ...]
    severity: str
    score: int
    supports: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)


def weigh(
    seen: Observations,
    services: Iterable[Service] = (),
    onset: datetime | None = None,
    changed: Sequence[Row] = (),
    roots: Sequence[Root] = (),
) -> tuple[Cause, ...]:
    """Given what was seen, when the trouble began and what changed, return the causes, the likeliest first.

    Without `onset` it is the first time that a sick service tells. `roots` are the dependencies that fail by themselves.
    """
    began = onset or _first_trouble(seen)
    suspects = [*_found(seen), *_silent(seen)]
    suspects += _changed(suspects, changed[:_CHANGES], began)
    suspects.sort(key=lambda suspect: (_rank(suspect.severity), -suspect.rule.prior, suspect.key))
    suspects = [with_needs(suspect, seen) for suspect in suspects[:_SUSPECTS]]
    users = frozenset(service.name for service in services if service.user_facing)
    case = Case(seen, began, tuple(suspects), users, tuple(root for root in roots if root.contained_by is None))
    heard = [(suspect, witnesses.hear(suspect, case)) for suspect in suspects]
    heard.sort(key=lambda pair: (-sum(e.points for e in pair[1]), _rank(pair[0].severity), pair[0].key))
    return tuple(_cause(suspect, evidence) for suspect, evidence in heard[:KEPT])


def _cause(suspect: Suspect, evidence: Sequence[witnesses.Evidence]) -> Cause:
    told = sorted((e for e in evidence if e.text), key=lambda e: -abs(e.points))
    return Cause(
        title=suspect.text,
        kind=_topic(suspect),
        service=suspect.service,
        hosts=suspect.hosts,
        severity=suspect.severity,
        score=max(0, min(100, sum(e.points for e in evidence))),
        supports=tuple(e.text for e in told if e.points >= 0)[:_LINES],
        against=tuple(e.text for e in told if e.points < 0)[:_LINES],
        about=suspect.about,
    )


def _topic(suspect: Suspect) -> str:
    """Return the kind of a cause: what an error or a failing check says, where that is known."""
    if suspect.kind == "changed":
        return "permission"  # the collection finds of changes those of owner and mode alone that shut a service out
    said = suspect.about.get("meaning") if suspect.kind in ("errors", "unhealthy", "dependency") else None
    return TOPICS.get(str(said), suspect.kind)


def _rank(severity: str) -> int:
    return _SEVERITIES.index(severity) if severity in _SEVERITIES else len(_SEVERITIES)


def _first_trouble(seen: Observations) -> datetime | None:
    """When the first error of a sick service came, or else the first error of all."""
    errors = [f for f in seen.findings if f.at is not None and "error" in f.about and f.about.get("ours") is not True]
    ill = [f for f in errors if (f.host, f.service) in seen.sick and f.about.get("new") is not False]
    return min((f.at for f in ill or errors if f.at is not None), default=None)


def _found(seen: Observations) -> list[Suspect]:
    """Return the findings as suspects, those of the same thing on several hosts as one."""
    same = same_templates(f.named("error") for f in seen.findings)
    rows: dict[tuple[str, ...], list[Finding]] = {}
    for finding in seen.findings:
        if finding.kind in NEVER:
            continue
        kind = _of_check(finding) if finding.kind == "dependency" else finding.kind
        rule = RULES.get(kind, OTHER)
        about = [same.get(finding.named(key), finding.named(key)) for key in rule.same]
        # What fails for several services at the same place is one; an error belongs to its service.
        service = "" if finding.kind == "dependency" else finding.service or ""
        rows.setdefault((kind, service, *about), []).append(finding)
    return [_of_findings(key, each, RULES.get(key[0], OTHER)) for key, each in rows.items()]


def _of_check(finding: Finding) -> str:
    """Return the kind of a dependency that fails: what takes the request and does not answer in time is slow, not gone."""
    failing = finding.named("failing")
    if failing == "answer" and finding.named("detail").startswith(_TOO_LATE):
        return "dependency_slow"
    return _STEPS.get(failing, finding.kind)


def _of_findings(key: tuple[str, ...], each: list[Finding], rule: Rule) -> Suspect:
    # Of those as severe, the one that says where to look speaks for all.
    worst = min(each, key=lambda f: (_rank(f.severity), f.meaning in ("", *VAGUE), f.host, f.text))
    return Suspect(
        key=key,
        kind=key[0],
        rule=rule,
        text=worst.text,
        service=worst.service,
        services=frozenset(finding.service for finding in each if finding.service),
        hosts=tuple(dict.fromkeys(finding.host for finding in each)),
        severity=worst.severity,
        at=min((finding.began for finding in each if finding.began), default=None),
        about=small(worst.about),
        findings=tuple(each),
    )


def _silent(seen: Observations) -> list[Suspect]:
    rule = RULES["silent"]
    return [
        Suspect(("silent", host), "silent", rule, f"{host} does not answer", None, frozenset(), (host,), "critical")
        for host in seen.silent
    ]


def _changed(suspects: list[Suspect], rows: Sequence[Row], began: datetime | None) -> Iterator[Suspect]:
    """Give the changes of the day before the trouble, but for those that a finding is about: they are suspected already."""
    told = {s.about.get("path") for s in suspects if s.kind == "changed"}
    known = {(s.service, s.at.replace(microsecond=0)) for s in suspects if s.kind == "release" and s.at is not None}
    for row in rows:
        at = moment(row.first)
        if began is None or at is None or not -SLACK_S <= (began - at).total_seconds() <= DAY_S:
            continue
        is_told = row.kind == "permission" and row.path in told
        if not is_told and (row.kind != "release" or (row.service, at.replace(microsecond=0)) not in known):
            yield _of_change(row, at)


def _of_change(row: Row, at: datetime) -> Suspect:
    what = row.text.removeprefix("had ").removeprefix("got ")  # it is told without its hosts before it
    return Suspect(
        key=("change", row.kind, row.service or "", row.name, row.first),
        kind=row.kind,
        rule=CHANGES.get(row.kind, OTHER_CHANGE),
        text=plain(f"{what}: {row.detail}" if row.detail else what),
        service=row.service,
        services=frozenset({row.service} if row.service else ()),
        hosts=row.hosts,
        severity="warning",
        at=at,
        about={key: value for key, value in (("name", row.name), ("path", row.path), ("at", row.first)) if value},
        is_change=True,
    )
