"""What is known when the options are weighed, and what an option is. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from incidentctl.options.backups import Backup
from incidentctl.precedents import Attempt


class Cause(NamedTuple):
    """A cause as the diagnosis has it: `score` is 0 to 100."""

    kind: str
    service: str | None
    title: str
    score: int


class Own(NamedTuple):
    """A custom playbook: the kinds of causes that it is for (none: nothing is known of it), and what it does."""

    name: str
    causes: frozenset[str] = frozenset()
    title: str = ""


class Mitigation(NamedTuple):
    """One capability under `mitigate`: what it does, in words, and the services that it is for."""

    capability: str
    does: str
    services: tuple[str, ...]


class Errors(NamedTuple):
    """Errors that are new since the release: how many lines, of how many kinds. None: nobody can tell."""

    lines: int
    kinds: int


class Look(NamedTuple):
    """How a service was when it was looked at after the triage; `at` is ISO 8601."""

    at: str
    service: str
    healthy: bool


@dataclass(frozen=True)
class Situation:
    """What is known when the options are weighed. Mappings are by service name where nothing else is said."""

    affected: tuple[str, ...]
    now: datetime
    specs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rollback: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # facts of prepare_rollback
    onset: Mapping[str, str] = field(default_factory=dict)
    causes: tuple[Cause, ...] = ()  # the likeliest first
    new_errors: Mapping[str, Errors | None] = field(default_factory=dict)
    looks: tuple[Look, ...] = ()
    backups: Mapping[str, Sequence[Backup]] = field(default_factory=dict)
    past: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)  # way → service → seconds it took
    solved: tuple[Attempt, ...] = ()  # what was done about the same pattern, the newest first
    drilled: tuple[Attempt, ...] = ()
    within_s: float = 120.0  # how long a recovery may take to become healthy (verify.within)
    mitigations: tuple[Mitigation, ...] = ()
    custom: tuple[Own, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)  # option key → why the hosts say that it cannot be done
    tried: tuple[str, ...] = ()  # ways (precedents.way) that were carried out in this incident and did not recover it


@dataclass(frozen=True)
class Option:
    """One way out, with what it costs and why we think so."""

    key: str
    letter: str
    title: str
    feasible: bool
    downtime: str
    data_at_risk: str
    confidence: int | None
    because: tuple[str, ...]  # every fact that a figure was made from
    steps: tuple[str, ...]
    why_not: str = ""
    recommended: bool = False
    reason: str = ""  # of the recommended one: why, in a sentence
    playbook: str | None = None  # of a custom one: which fits best
    capabilities: tuple[str, ...] = ()  # of a mitigation: which


class Fact(NamedTuple):
    """What counts for an option (points above 0), against it, or neither: a clause of a sentence.

    `telling` says that it is a reason to take this way rather than another: without one, nothing is recommended.
    """

    points: int
    text: str
    telling: bool = False


class Way(NamedTuple):
    """An option with the facts that its confidence was made of."""

    option: Option
    facts: tuple[Fact, ...] = ()
    may_be_recommended: bool = False


def impossible(key: str, letter: str, title: str, why_not: str) -> Way:
    """Return an option that cannot be taken."""
    return Way(Option(key, letter, title, False, "–", "–", None, (), (), why_not))
