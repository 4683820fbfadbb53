"""What can be done about it: recovery options with figures, each with the facts it was made from. Pure.

A figure that no fact supports says `unknown`; nothing here is invented. How much each fact counts: points.py, and
docs/options.md.
"""

from __future__ import annotations

import difflib
from dataclasses import replace

from incidentctl.errors import UsageError
from incidentctl.options import points
from incidentctl.options.acts import hotfix, mitigate, wait
from incidentctl.options.backups import Backup, Writes
from incidentctl.options.custom import custom
from incidentctl.options.facts import Cause, Errors, Look, Mitigation, Option, Own, Situation, Way, impossible
from incidentctl.options.rollback import rollback
from incidentctl.options.weighing import in_a_sentence

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
]

KEYS = ("rollback", "hotfix", "mitigate", "custom", "wait")


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
    not tried yet, and something is known of it: of waiting, that it recovers.
    """
    situation = replace(situation, affected=tuple(sorted(situation.affected)))
    ways = [_unless_refused(weigh(situation), situation) for weigh in (rollback, hotfix, mitigate, custom, wait)]
    able = [way for way in ways if way.may_be_recommended and _confidence(way) >= points.RECOMMENDED_FROM]
    best = max(able, key=_confidence, default=None)
    options = [_chosen(way) if way is best else way.option for way in ways]
    return tuple(sorted(options, key=lambda o: (not o.recommended, not o.feasible, -(o.confidence or 0), o.letter)))


def _unless_refused(way: Way, situation: Situation) -> Way:
    option = way.option
    why = situation.refused.get(option.key)
    return impossible(option.key, option.letter, option.title, why) if option.feasible and why else way


def _confidence(way: Way) -> int:
    return way.option.confidence or 0


def _chosen(way: Way) -> Option:
    return replace(way.option, recommended=True, reason=in_a_sentence(way.facts))
