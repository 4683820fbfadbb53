"""What can be done about it: recovery options with figures, each with the facts it was made from. Pure.

A figure that no fact supports says `unknown`; nothing here is invented.
"""

from __future__ import annotations

import difflib
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from incidentctl.errors import UsageError

# Confidence begins here: without any fact, a coin toss.
BASE_CONFIDENCE = 50
_NEAR_ONSET_S = 30 * 60
# By what lies between the migrations of the two releases.
_SCHEMA_POINTS = {"none": 10, "compatible": -5, "unknown": -10, "breaking": -30}


@dataclass(frozen=True)
class Situation:
    """What is known when the options are weighed. Mappings are by service name."""

    affected: tuple[str, ...]
    now: datetime
    specs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rollback: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # facts of prepare_rollback
    onset: Mapping[str, str] = field(default_factory=dict)
    backups: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    past_seconds: Mapping[str, Sequence[float]] = field(default_factory=dict)  # option key → seconds it took before
    within_s: float = 120.0  # how long a recovery may take to become healthy (verify.within)
    mitigations: Mapping[str, Sequence[str]] = field(default_factory=dict)  # what it does → affected services
    custom: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()  # options that were carried out in this incident and did not recover it


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


KEYS = ("rollback", "hotfix", "mitigate", "custom")


def known(key: str) -> str:
    """Return the key of an option that a person named. Raise UsageError if there is no such option."""
    if key in KEYS:
        return key
    close = difflib.get_close_matches(key, KEYS, n=1)
    near = f" (did you mean {close[0]}?)" if close else ""
    raise UsageError(f"There is no option {key!r}{near}.", fix=f"choose from: {', '.join(KEYS)}")


def assess(situation: Situation) -> tuple[Option, ...]:
    """Given the situation, return the options in order A, B, C, D, at most one of them recommended.

    Recommended is the feasible option with the highest confidence that was not tried yet; waiting and custom
    playbooks are never recommended, for nothing is known of them.
    """
    options = [_rollback(situation), _hotfix(situation), _mitigate(situation), _custom(situation)]
    weighed = [o for o in options if o.feasible and o.confidence is not None and o.key not in situation.tried]
    best = max(weighed, key=lambda o: o.confidence or 0, default=None)
    if best is None:
        return tuple(options)
    return tuple(_recommend(option) if option is best else option for option in options)


def _recommend(option: Option) -> Option:
    return Option(**{**option.__dict__, "recommended": True})


def _rollback(situation: Situation) -> Option:
    title = "Roll back to the last known good release"
    ready = {name: f for name, f in situation.rollback.items() if name in situation.affected and f.get("feasible")}
    if not ready:
        return _infeasible("rollback", "A", title, _why_no_rollback(situation))
    steps = tuple(
        f"{name}: release {f.get('from')} → {_destination(f)}, restart, see health hold" for name, f in ready.items()
    )
    points, because = BASE_CONFIDENCE, []
    for name, facts in ready.items():
        for gain, fact in _rollback_facts(situation, name, facts):
            points += gain
            because.append(f"{gain:+d}  {fact}")
    missing = sorted(set(situation.affected) - set(ready))
    if missing:
        points -= 20
        because.append(f"-20  it does not help {', '.join(missing)}: no release to go back to")
    points, because = _tried(situation, "rollback", points, because)
    downtime, source = _downtime(situation, "rollback")
    risk, risk_source = _data_at_risk(situation, ready)
    return Option(
        "rollback", "A", title, True, downtime, risk, _bounded(points), (*because, source, risk_source), steps
    )


def _destination(facts: Mapping[str, Any]) -> str:
    """Where it goes back to, and why there; of a service's own command only the latter is known."""
    to, why = facts.get("to"), facts.get("why")
    return f"{to} ({why})" if to and why else str(to or why or "unknown")


def _rollback_facts(situation: Situation, name: str, facts: Mapping[str, Any]) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    deployed, onset = facts.get("deployed_at"), situation.onset.get(name)
    gap = _seconds_between(deployed, onset)
    if gap is not None and -5 <= gap <= _NEAR_ONSET_S:
        found.append((25, f"{name}: release {facts.get('from')} came {_span(max(gap, 0))} before the onset"))
    elif gap is not None:
        when = "after" if gap < 0 else "long before"
        found.append((-25, f"{name}: release {facts.get('from')} came {when} the onset"))
    else:
        found.append((0, f"{name}: unknown whether the release or something else came before the onset"))
    if facts.get("rehearsed"):
        found.append((10, f"{name}: the switch was rehearsed"))
    found.append(_schema_fact(name, facts))
    return found


def _schema_fact(name: str, facts: Mapping[str, Any]) -> tuple[int, str]:
    """What lies between the migrations of the releases, weighed by whether the older one can run on the schema."""
    state, reason = _schema_state(facts)
    if state == "none":
        return _SCHEMA_POINTS[state], f"{name}: no schema migration in between"
    if state == "compatible":
        return _SCHEMA_POINTS[state], f"{name}: the schema changed, and the older release can run on it{_does(facts)}"
    if state == "breaking":
        return _SCHEMA_POINTS[state], f"{name}: the older release may not run on the schema: {reason}"
    return _SCHEMA_POINTS["unknown"], f"{name}: ask: unknown whether the older release can run on the schema: {reason}"


def _schema_state(facts: Mapping[str, Any]) -> tuple[str, str]:
    """Return the state of the schema and why; whatever is not said, or in words that are not known, is unknown."""
    schema = facts.get("schema") or {}
    state = schema.get("state")
    reason = schema.get("reason") or facts.get("migrations_reason") or "nothing is known of its migrations"
    return (state if state in _SCHEMA_POINTS else "unknown"), str(reason)


def _does(facts: Mapping[str, Any]) -> str:
    operations = (facts.get("schema") or {}).get("operations") or []
    more = f" and {len(operations) - 3} more" if len(operations) > 3 else ""
    return f": {', '.join(map(str, operations[:3]))}{more}" if operations else ""


def _why_no_rollback(situation: Situation) -> str:
    if not situation.affected:
        return "no affected service is known"
    reasons = []
    for name in situation.affected:
        facts = situation.rollback.get(name, {})
        if facts.get("reason"):
            reasons.append(f"{name}: {facts['reason']}")
        elif "releases" not in situation.specs.get(name, {}):
            reasons.append(f"{name}: the catalogue names no releases")
        else:
            reasons.append(f"{name}: not rehearsed, so it is unknown which release to go back to")
    return "; ".join(reasons)


def _hotfix(situation: Situation) -> Option:
    title = "Deploy a hotfix"
    without = [n for n in situation.affected if "hotfix" not in (situation.specs.get(n, {}).get("releases") or {})]
    if without or not situation.affected:
        return _infeasible(
            "hotfix", "B", title, f"{', '.join(without) or 'nothing'}: no hotfix command in the catalogue"
        )
    points, because = _tried(
        situation, "hotfix", BASE_CONFIDENCE, ["-15  what the hotfix holds is not known here: have it reviewed"]
    )
    downtime, source = _downtime(situation, "hotfix")
    return Option(
        "hotfix", "B", title, True,
        downtime=downtime,
        data_at_risk="unknown: the hotfix may change the schema",
        confidence=_bounded(points - 15),
        because=(*because, source),
        steps=tuple(f"{name}: run its hotfix command, see health hold, switch back if it is no better"
                    for name in situation.affected),
    )  # fmt: skip


def _mitigate(situation: Situation) -> Option:
    title = "Mitigate and watch, until a proper fix"
    if not situation.mitigations:
        return _infeasible("mitigate", "C", title, "nothing under `mitigate` fits an affected service")
    points, because = _tried(situation, "mitigate", 30, ["-20  the cause stays until it is fixed"])
    return Option(
        "mitigate", "C", title, True,
        downtime="unknown: until the proper fix",
        data_at_risk="none by this act",
        confidence=_bounded(points),
        because=tuple(because),
        steps=tuple(f"{', '.join(names)}: {does}, until it is lifted" for does, names in situation.mitigations.items()),
    )  # fmt: skip


def _custom(situation: Situation) -> Option:
    title = "A playbook of your own"
    if not situation.custom:
        return _infeasible("custom", "D", title, "incidentctl.yml names no custom_playbooks")
    return Option(
        "custom", "D", title, True,
        downtime="unknown", data_at_risk="unknown", confidence=None,
        because=("nothing is known of what a custom playbook does",),
        steps=tuple(f"incidentctl decide custom --playbook {name}" for name in situation.custom),
    )  # fmt: skip


def _infeasible(key: str, letter: str, title: str, why_not: str) -> Option:
    return Option(key, letter, title, False, "–", "–", None, (), (), why_not)


def _downtime(situation: Situation, key: str) -> tuple[str, str]:
    past = sorted(situation.past_seconds.get(key, ()))
    if past:
        text = f"{_span(statistics.median(past))} (worst {_span(past[-1])})"
        return text, f"downtime: median and worst of {len(past)} past run(s) of this service"
    return (
        f"unknown, at most {_span(situation.within_s)}",
        "downtime: no past run here; verify.within is the deadline, after which it goes forward again",
    )


def _data_at_risk(situation: Situation, ready: Mapping[str, Any]) -> tuple[str, str]:
    """A rollback leaves data where it is; at risk is what a schema change in between could break."""
    states = {name: _schema_state(facts)[0] for name, facts in ready.items()}
    risky = [name for name, state in states.items() if state in ("breaking", "unknown")]
    unseen = [name for name, state in states.items() if state == "compatible"]
    if not risky and not unseen:
        return "none: the data stays as it is", "data: no schema migration between the releases"
    if not risky:
        what = ", ".join(f"{name}{_does(ready[name])}" for name in unseen)
        return "none lost: what is new stays, unseen by the older release", f"data: the schema changed for {what}"
    why = "; ".join(f"{name}: {_schema_state(ready[name])[1]}" for name in risky)
    ages = [age for name in risky for age in _backup_ages(situation, name)]
    if len(ages) < len(risky):
        return "unknown: no verified backup", f"data: the schema is at risk, {why}"
    return (
        f"at most {_span(max(ages))} of writes",
        f"data: age of the last verified backup; the schema is at risk, {why}",
    )


def _backup_ages(situation: Situation, name: str) -> list[float]:
    verified = [str(b["at"]) for b in situation.backups.get(name, ()) if b.get("verified") and b.get("at")]
    newest = max(verified, default=None)
    age = _seconds_between(newest, situation.now.isoformat())
    return [] if age is None else [max(age, 0.0)]


def _tried(situation: Situation, key: str, points: int, because: list[str]) -> tuple[int, list[str]]:
    if key not in situation.tried:
        return points, because
    return points - 40, [*because, "-40  it was tried in this incident and did not recover it"]


def _bounded(points: int) -> int:
    return max(1, min(points, 95))  # nobody is certain at 3 a.m.


def _seconds_between(earlier: Any, later: Any) -> float | None:
    try:
        return (datetime.fromisoformat(str(later)) - datetime.fromisoformat(str(earlier))).total_seconds()
    except (ValueError, TypeError):
        return None


def _span(seconds: float) -> str:
    """Return a span as a person says it: 8 s, 3 min, 2.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
