"""A Step, and the Outcome that it ends with: one row for each host and capability, always. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from incidentctl.errors import RefusedError

# From what must be looked at first to what needs no look.
WORST_FIRST = (
    "failed", "unknown", "unreachable", "refused", "not_attempted", "done", "unchanged", "skipped",
)  # fmt: skip
IT_MAY_GO_ON = "what was begun may go on there: the host's ledger knows"
SUCCESS = frozenset({"done", "unchanged", "skipped"})
_CHANGED_OR_WRONG = ("done", "failed", "refused")
_FEW = 3
_TEMPLATE = ("{{", "{%", "{#")


@dataclass(frozen=True)
class Step:
    """What to run: playbooks of the collection by name (or a path of the user's own), on which hosts.

    `variables` holds ids, numbers and names that the inventory has; nothing that a person typed, or a host said. After
    `deadline_s` seconds what is not done by then is left. Raise RefusedError if Ansible would run one as a template.
    """

    phase: str
    capabilities: tuple[str, ...]
    hosts: tuple[str, ...]
    variables: Mapping[str, Any] = field(default_factory=dict)
    check: bool = False
    diff: bool = False
    deadline_s: float = field(kw_only=True)

    def __post_init__(self) -> None:
        for name, value in self.variables.items():
            if any(mark in text for text in _texts(value) for mark in _TEMPLATE):
                raise RefusedError(
                    f"{self.phase}: {name} holds what Ansible would run as a template. Nothing was done.",
                    "Such a name comes from a host or a file that is not what it should be.",
                    "look at what this incident's hosts said: incidentctl timeline",
                )


@dataclass(frozen=True)
class HostOutcome:
    """How one capability ended on one host."""

    host: str
    capability: str
    outcome: str
    reason: str = ""
    actions: tuple[dict[str, Any], ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[dict[str, Any], ...] = ()
    diff: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How a step ended: one row for each (host, capability), and what Ansible said that belongs to no host."""

    step: Step
    rows: tuple[HostOutcome, ...]
    seconds: float
    interrupted: bool = False
    killed: bool = False
    timed_out: bool = False
    said: str = ""

    @property
    def worst(self) -> str:
        """The outcome that must be looked at first; `skipped` for a step without hosts."""
        return worst(row.outcome for row in self.rows)


def worst(outcomes: Iterable[str]) -> str:
    """Given outcomes, return the one that must be looked at first."""
    seen = set(outcomes)
    return next((name for name in WORST_FIRST if name in seen), "skipped")


def capability_of(playbook: str) -> str:
    """Return the capability that a playbook's name, or the path of one of the user's own, stands for."""
    return Path(playbook).stem


def story(rows: Iterable[HostOutcome]) -> Iterator[tuple[str, str, str]]:
    """What was changed, and whatever did not go well: (who, outcome, text). What hosts share is told once."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        told = [a for a in row.actions if a["outcome"] in _CHANGED_OR_WRONG or a.get("news")]
        acts = [(str(a["outcome"]), str(a["summary"])) for a in told]
        if row.outcome not in (*SUCCESS, "not_attempted") and (not row.actions or row.outcome == "unknown"):
            acts.append((row.outcome, f"{row.capability} {row.outcome.replace('_', ' ')}: {row.reason}"))
        for act in acts:
            found.setdefault(act, []).append(row.host)
    for (outcome, text), hosts in found.items():
        yield ", ".join(hosts) if len(hosts) <= _FEW else f"{len(hosts)} hosts", outcome, text


def merged(earlier: HostOutcome, later: HostOutcome) -> HostOutcome:
    """Two tasks of one capability (an act, and its confirmation) are one outcome: the worse, with all that is known."""
    actions = {action.get("target"): action for action in earlier.actions}
    for action in later.actions:
        before = actions.get(action.get("target"), {})
        both = [told["outcome"] for told in (before, action) if told]
        actions[action.get("target")] = {**before, **action, "outcome": worst(both)}
    outcome = worst((earlier.outcome, later.outcome))
    reasons = dict.fromkeys(told.reason for told in (earlier, later) if told.outcome == outcome)
    return HostOutcome(
        host=later.host,
        capability=later.capability,
        outcome=outcome,
        reason="; ".join(reason for reason in reasons if reason),
        actions=tuple(actions.values()),
        facts={**earlier.facts, **later.facts},
        files=tuple({str(f.get("path")): f for f in (*earlier.files, *later.files)}.values()),
        diff=earlier.diff + later.diff,
    )


def complete(
    step: Step, rows: dict[tuple[str, str], HostOutcome], begun: set[tuple[str, str]], cut: str
) -> Iterator[HostOutcome]:
    """One row for every (host, capability) of the step; what nobody reported is said to be so.

    `cut` says what ended the run before its time, "" if nothing did.
    """
    for host in step.hosts:
        lost = ""
        for name in step.capabilities:
            capability = capability_of(name)
            row = rows.get((host, capability))
            if row is None:
                row = _unreported(step, host, capability, (host, capability) in begun, cut, lost)
            if row.outcome in ("unreachable", "unknown") or (row.outcome == "failed" and not row.actions):
                lost = lost or f"{capability} {row.outcome} there before"
            yield row


def _unreported(step: Step, host: str, capability: str, begun: bool, cut: str, lost: str) -> HostOutcome:
    if begun and cut:
        return HostOutcome(host, capability, "unknown", f"{cut} in the middle: {IT_MAY_GO_ON}")
    if begun and Path(step.capabilities[0]).is_absolute():
        return HostOutcome(host, capability, "done", "every task of the playbook ended well")
    if cut:
        return HostOutcome(host, capability, "not_attempted", f"{cut} before its turn")
    return HostOutcome(host, capability, "not_attempted", lost or "the play did not reach this host")


def _texts(value: Any) -> Iterator[str]:
    """Give every text in a value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from (*_texts(key), *_texts(inner))
    elif isinstance(value, Iterable):
        for inner in value:
            yield from _texts(inner)
