"""What counts for and against every option alike: the likeliest cause, and what was done before. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from incidentctl import remedies
from incidentctl.cause_rules import HAPPENED, RULES
from incidentctl.options import points
from incidentctl.options.facts import Cause, Fact, Situation
from incidentctl.options.words import ago, quoted, sentence, span
from incidentctl.precedents import Attempt, way

Touches = Callable[[Cause], bool | None]


def confidence(facts: Iterable[Fact]) -> int:
    """Return what the facts add up to, in percent."""
    return max(points.LEAST, min(points.MOST, points.BASE + sum(fact.points for fact in facts)))


def told(facts: Iterable[Fact]) -> tuple[str, ...]:
    """Return what a confidence was made of, a line each, the strongest first; they add up to it, unless it is bounded."""
    ordered = sorted(facts, key=lambda fact: (-abs(fact.points), fact.text))
    base = f"{points.BASE:>3}  before any fact; never less than {points.LEAST}, never more than {points.MOST}"
    return (base, *(f"{fact.points:+3d}  {fact.text}" for fact in ordered))


def in_a_sentence(facts: Iterable[Fact]) -> str:
    """Return why an option is recommended: the two strongest facts for it."""
    found = sorted((fact for fact in facts if fact.points > 0), key=lambda fact: (-fact.points, fact.text))
    return sentence(", and ".join(fact.text for fact in found[:2]))


def common(situation: Situation, key: str, who: str, touches: Touches, playbook: str | None = None) -> Iterator[Fact]:
    """Give what counts for an option, whichever it is. `who` names it in a sentence."""
    name = way(key, playbook)
    if fact := _cause(situation.causes, who, touches):
        yield fact
    yield from _solved([attempt for attempt in situation.solved if attempt.way == name], who, situation)
    yield from _drilled([attempt for attempt in situation.drilled if attempt.way == name], who)
    if name in situation.tried:
        yield Fact(points.TRIED, "it was tried in this incident and did not recover it")
    if key != "wait" and is_recovering(situation):
        yield Fact(points.RECOVERING_BY_ITSELF, "every look since the triage was healthy: it may recover by itself")


def likeliest(causes: Sequence[Cause], touches: Touches) -> tuple[Cause, bool] | None:
    """Return the likeliest cause of which it can be told whether it is touched, and whether; None where there is none."""
    judged = ((cause, touches(cause)) for cause in causes)
    return next(((cause, how) for cause, how in judged if how is not None), None)


def touching(name: str, services: Iterable[str]) -> Touches:
    """Return whether an option that acts on these services touches a cause: not one of another service."""
    there = frozenset(services)

    def touches(cause: Cause) -> bool | None:
        found = remedies.touches(name, cause.kind)
        elsewhere = cause.service is not None and cause.service not in there
        return False if found and elsewhere else found

    return touches


def is_recovering(situation: Situation) -> bool:
    """Say whether each affected service was healthy whenever it was looked at since the triage, and nothing stands against it."""
    mine = [look for look in situation.looks if look.service in situation.affected]
    looked_at = {look.service for look in mine} == set(situation.affected)
    return bool(mine) and looked_at and all(look.healthy for look in mine) and not _is_there_yet(situation.causes)


def _is_there_yet(causes: Sequence[Cause]) -> bool:
    """Say whether the likeliest cause is more than a guess, and the diagnosis saw it stand: a healthy answer is luck then."""
    return any(
        cause.score >= points.KNOWN_FROM and cause.kind in RULES and cause.kind not in HAPPENED for cause in causes[:1]
    )


def _cause(causes: Sequence[Cause], who: str, touches: Touches) -> Fact | None:
    if not causes:
        return Fact(0, "no cause is known")
    found = likeliest(causes, touches)
    if found is None:
        return Fact(0, f"what lies behind the likeliest cause, {quoted(causes[0].title)}, is not known")
    first, is_touched = found
    whole = round((points.TOUCHED if is_touched else points.NOT_TOUCHED) * _share(first.score))
    others = [cause.score for cause in causes if touches(cause) is (not is_touched)]
    close = bool(others) and first.score - max(others) < points.NEAR
    does = "touches" if is_touched else "does not touch"
    near = "; the next one is nearly as likely" if close else ""
    text = f"{who} {does} the likeliest cause ({first.score} of 100{near}): {quoted(first.title)}"
    return Fact(round(whole / 2) if close else whole, text, is_touched and first.score >= points.KNOWN_FROM)


def _share(score: int) -> float:
    return max(0, min(100, score)) / 100


def _solved(before: Sequence[Attempt], who: str, situation: Situation) -> Iterator[Fact]:
    if not before:
        return
    well = [attempt for attempt in before if attempt.recovered]
    last = (well or before)[0]
    when = ago(last.at, situation.now)
    took = f" in {span(last.seconds)}" if last.seconds is not None else ""
    did = f"{who} recovered it{took}" if well else f"{who} did not recover it"
    counted = f"; {len(well)} of {len(before)} times" if len(before) > 1 else ""
    worth = _by_success(points.SOLVED, before)
    yield Fact(worth, f"the same pattern was on {last.incident_id}, {when}: {did}{counted}", worth > 0)


def _drilled(before: Sequence[Attempt], who: str) -> Iterator[Fact]:
    if before:
        well = sum(attempt.recovered is True for attempt in before)
        times = "drill" if len(before) == 1 else "drills"
        worth = _by_success(points.DRILLED, before)
        yield Fact(worth, f"{who} recovered {well} of {len(before)} {times}", worth > 0)


def _by_success(most: int, before: Sequence[Attempt]) -> int:
    """All of the points where it always helped, as many against it where it never did."""
    well = sum(attempt.recovered is True for attempt in before)
    return round(most * (2 * well - len(before)) / len(before))
