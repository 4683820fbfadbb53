"""The review of a hotfix: what would be deployed is shown, and nothing is until a person says by whom it was reviewed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from incidentctl.desk import Desk
from incidentctl.errors import DecisionAwaited, RefusedError, UsageError
from incidentctl.outcome import SUCCESS, HostOutcome, Outcome
from incidentctl.plan import PlannedStep
from incidentctl.standing import reviewed_as
from incidentctl.steps import rehearse
from incidentctl.text import plain

_NAME_CHARS = 100
_DIGEST = re.compile("[0-9a-f]{64}")
_SHORT = 12
_LEAST_S = 60.0  # for a build
_PATIENCE_S = 90.0  # of a look at what lies on the hosts


@dataclass(frozen=True)
class Seen:
    """What a service would get on one host: facts of a build, or what a command of its own would do, in words."""

    host: str
    service: str
    told: str
    build: Mapping[str, Any] | None

    @property
    def digest(self) -> str:
        """The SHA-256 of all that is built from; nothing for a command, of which nobody knows."""
        said = str((self.build or {}).get("digest"))
        return said if _DIGEST.fullmatch(said) else ""


def reviewed(desk: Desk, step: PlannedStep, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables by which the hosts deploy what was reviewed, and nothing else; ask for the review before.

    Raise DecisionAwaited while nobody has reviewed it, RefusedError if it cannot be, or is not the same on all hosts.
    """
    builds = reviewed_as(desk.incident())
    if builds is None:
        builds = _review(desk, step, variables)
    patience = desk.settings.deadlines.phase - desk.settings.verify.within
    return {
        "hotfix_reviewed": {name: digest for name, digest in builds.items() if _DIGEST.fullmatch(digest)},
        "hotfix_build_within_s": max(_LEAST_S, patience - _LEAST_S),
    }


def number(desk: Desk) -> int:
    """Return which hotfix of this incident is decided, or would be decided next: the first is 1."""
    decided = [event.data for event in desk.record.events(desk.incident_id) if event.kind == "decided"]
    made = len([data for data in decided if data.get("option") == "hotfix"])
    return made if (desk.incident().decision or {}).get("option") == "hotfix" else made + 1


def reviewer(typed: str) -> str:
    """Return the name of who reviewed, as a person typed it. Raise UsageError if it is none."""
    name = typed.strip()
    if not 0 < len(name) <= _NAME_CHARS or not name.isprintable():
        raise UsageError(
            "--reviewed-by needs the name of whoever reviewed the hotfix.",
            fix=f"1 to {_NAME_CHARS} characters, one line",
        )
    return name


def unfinished(outcome: Outcome) -> Iterator[str]:
    """Say what a hotfix leaves to be done, for each service that was given one: it is on these hosts alone."""
    hosts: dict[str, list[str]] = {}
    for row in outcome.rows:
        for name, facts in row.facts.get("services", {}).items() if row.outcome == "done" else ():
            if facts.get("build"):
                hosts.setdefault(name, []).append(row.host)
    for name, there in hosts.items():
        yield f"Release the hotfix of {name} in the ordinary way: its image is on {', '.join(there)} alone"


def _review(desk: Desk, step: PlannedStep, variables: Mapping[str, Any]) -> dict[str, str]:
    incident = desk.incident()
    outcome = rehearse(desk, replace(step, phase="review"), variables, _PATIENCE_S)
    known = {service.name for service in desk.services()}  # a host might name anything
    seen = [one for row in outcome.rows for one in _seen(row) if one.service in known]
    for line in (*_lines(seen), *_missing(outcome)):
        desk.show("note", text=line)
    other = f"incidentctl decide {desk.incident_id} OPTION --instead-of hotfix"
    again = f"incidentctl resume {desk.incident_id}"
    if not seen:
        raise RefusedError(
            f"{desk.incident_id}: no host can be given the hotfix.",
            "\n".join(_missing(outcome)),
            f"mend that, then {again}; or {other}",
        )
    if differing := _differing(seen):
        raise RefusedError(
            f"{desk.incident_id}: the hotfix is not the same on all hosts, so nobody can review it as one.",
            "\n".join(differing),
            f"bring the same files to all of them, then {again}; or {other}",
        )
    name = desk.reviewed_by or desk.ask("review")
    if name is None:
        raise DecisionAwaited(
            f"{desk.incident_id}: by whom was the hotfix reviewed?",
            "It is decided, and nothing of it is carried out until a person has looked at what would be deployed.",
            f"{again} --reviewed-by NAME; or {other}",
        )
    name, decision = reviewer(name), incident.decision or {}
    if _is_same(name, str(decision.get("actor", ""))):
        desk.show("note", text=f"{name} decided it, too: a second pair of eyes would see more.")
    builds = {one.service: one.digest for one in seen}
    desk.note(
        "approved", what="review", answer=f"by {name}", reviewer=name, reviewed=decision.get("seq"), builds=builds
    )
    return builds


def _seen(row: HostOutcome) -> Iterator[Seen]:
    told = {str(action["target"]): action for action in row.actions}
    for name, facts in row.facts.get("services", {}).items():
        action, build = told.get(name, {}), facts.get("build") if isinstance(facts, Mapping) else None
        if action.get("outcome") in SUCCESS and action.get("outcome") != "skipped":
            yield Seen(row.host, name, str(action.get("summary")), build if isinstance(build, Mapping) else None)


def _lines(seen: list[Seen]) -> Iterator[str]:
    """Say what would be deployed, once for all hosts of which the same is true."""
    same: dict[tuple[str, str, str], list[Seen]] = {}
    for one in seen:
        same.setdefault((one.service, one.digest, "" if one.digest else one.told), []).append(one)
    for (_service, digest, _told), ones in same.items():
        yield f"  on {', '.join(one.host for one in ones)}: {ones[0].told}"
        if digest:
            yield from (f"      {line}" for line in _build_lines(ones[0], len(ones)))


def _build_lines(one: Seen, hosts: int) -> Iterator[str]:
    build = one.build or {}
    yield _changed(build.get("changed"))
    if build.get("revision") is not None:
        yield _revision(build["revision"])
    yield f"sha256 {one.digest[:_SHORT]}" + (f", the same on {hosts} hosts" if hosts > 1 else "")


def _changed(said: Any) -> str:
    """Say what changed since the last build. A host may say anything: what has another shape is unknown."""
    try:
        count, names, since = int(said["count"]), list(map(str, said["names"])), str(said["since"])
    except (KeyError, TypeError, ValueError):
        return "what changed since the last build is unknown"
    more = f" and {count - len(names)} more" if count > len(names) else ""
    return f"{count} changed since {since}" + (f": {', '.join(names)}{more}" if names else "")


def _revision(said: Any) -> str:
    try:
        commit, subject, left = str(said["commit"])[:_SHORT], str(said["subject"]), said["uncommitted"]
    except (KeyError, TypeError):
        return "the commit is unknown"
    state = "unknown whether all is committed" if left is None else f"{left or 'nothing'} uncommitted"
    return f"commit {commit}, {state}: {subject}"


def _differing(seen: list[Seen]) -> list[str]:
    by_service: dict[str, dict[str, list[Seen]]] = {}
    for one in (one for one in seen if one.digest):
        by_service.setdefault(one.service, {}).setdefault(one.digest, []).append(one)
    return [
        f"{service}: {', '.join(one.host for one in ones)} would be given sha256 {digest[:_SHORT]}"
        for service, digests in by_service.items()
        if len(digests) > 1
        for digest, ones in digests.items()
    ]


def _missing(outcome: Outcome) -> list[str]:
    return [
        f"{row.host}: {row.outcome}: {plain(row.reason, 600)}" for row in outcome.rows if row.outcome not in SUCCESS
    ]


def _is_same(name: str, actor: str) -> bool:
    return name.casefold() in (actor.casefold(), actor.partition("@")[0].casefold())
