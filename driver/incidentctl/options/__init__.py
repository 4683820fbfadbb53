"""What can be done about it: recovery options with figures, each with the facts it was made from. Pure.

A figure that no fact supports says `unknown`; nothing here is invented. How much each fact counts: points.py, and
docs/options.md.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from incidentctl.errors import UsageError
from incidentctl.event_data import rows, texts
from incidentctl.options import points
from incidentctl.options.acts import hotfix, mitigate, wait
from incidentctl.options.backups import Backup, Writes
from incidentctl.options.custom import custom
from incidentctl.options.facts import Cause, Errors, Look, Mitigation, Option, Own, Situation, Way, impossible
from incidentctl.options.rollback import rollback
from incidentctl.options.weighing import in_a_sentence
from incidentctl.options.words import quoted

__all__ = [
    "KEYS",
    "Backup",
    "Cause",
    "Errors",
    "Look",
    "Mitigation",
    "Option",
    "Own",
    "Situation",
    "Writes",
    "assess",
    "known",
    "unadvised",
]

KEYS = ("rollback", "hotfix", "mitigate", "custom", "wait")
_NAMED = 4  # hosts


def known(key: str) -> str:
    """Return the key of an option that a person named. Raise UsageError if there is no such option."""
    if key in KEYS:
        return key
    close = difflib.get_close_matches(key, KEYS, n=1)
    near = f" (did you mean {close[0]}?)" if close else ""
    raise UsageError(f"There is no option {key!r}{near}.", fix=f"choose from: {', '.join(KEYS)}")


def assess(situation: Situation) -> tuple[Option, ...]:
    """Given the situation, return the options: the recommended one first, then by confidence, what is impossible last.

    Recommended is the possible one with the highest confidence, if that is no less than points.RECOMMENDED_FROM, it was
    not tried yet, and a fact says that it helps rather than anything else: of waiting, that it recovers.
    """
    situation = replace(situation, affected=tuple(sorted(situation.affected)))
    ways = [_unless_refused(weigh(situation), situation) for weigh in (rollback, hotfix, mitigate, custom, wait)]
    able = [way for way in ways if _is_advice(way)]
    best = max(able, key=_confidence, default=None)
    options = [_chosen(way) if way is best else way.option for way in ways]
    return tuple(sorted(options, key=lambda o: (not o.recommended, not o.feasible, -(o.confidence or 0), o.letter)))


def unadvised(ways_out: Sequence[Mapping[str, Any]], judged: Mapping[str, Any] | None) -> str:
    """Given options, none of them recommended, and what the diagnosis came to, say why, and what to look at first."""
    if refused := next((way["letter"] for way in ways_out if way.get("reason")), None):
        return f"None is recommended: {refused} would be, but a guard refuses it."
    if is_well := (judged or {}).get("all_well"):
        return f"None is recommended: there is nothing to recover from. {is_well['told']}. Look next at {is_well['next'][0]}."
    causes = rows((judged or {}).get("causes"))
    if not causes:
        return "None is recommended: no cause is known, and nothing else speaks for one of them."
    first = causes[0]
    score, hosts = first.get("score"), texts(first.get("hosts"))
    score = score if isinstance(score, int) else 0
    why = "too little is known" if score < points.KNOWN_FROM else "too little speaks for what is possible"
    where = f" on {', '.join(hosts[:_NAMED])}{' and others' if len(hosts) > _NAMED else ''}" if hosts else ""
    title = quoted(str(first.get("title")))
    return f"None is recommended: {why}. Look first at the likeliest cause ({score} of 100){where}: {title}."


def _is_advice(way: Way) -> bool:
    sure = _confidence(way) >= points.RECOMMENDED_FROM
    return way.may_be_recommended and sure and any(fact.telling for fact in way.facts)


def _unless_refused(way: Way, situation: Situation) -> Way:
    option = way.option
    why = situation.refused.get(option.key)
    return impossible(option.key, option.letter, option.title, why) if option.feasible and why else way


def _confidence(way: Way) -> int:
    return way.option.confidence or 0


def _chosen(way: Way) -> Option:
    return replace(way.option, recommended=True, reason=in_a_sentence(way.facts))
