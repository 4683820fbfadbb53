"""Facts cut to what a result may hold: what is longest first, and the sick are kept longest. Pure."""

from __future__ import annotations

import json
from typing import Any

FACTS_LIMIT = 100_000  # bytes of JSON: results that are too large vanish on their way home
_FEWER_FINDINGS = 30  # the most severe, where room is short

Facts = dict[str, Any]


def fitting(facts: Facts) -> Facts:
    """Return the facts, cut where they are longest until they are small enough."""
    for errors, chars, changes in ((10, 300, 50), (5, 200, 30), (3, 100, 20), (1, 80, 10), (0, 80, 5)):
        if size(facts) <= FACTS_LIMIT:
            return facts
        facts = {**facts, "services": {name: _cut(told, errors, chars) for name, told in facts["services"].items()}}
        if "findings" in facts:
            facts["findings"] = facts["findings"][:_FEWER_FINDINGS]
        facts = _with_newest(facts, changes) if "changes" in facts else facts
    return _fewer(facts)


def _with_newest(facts: Facts, count: int) -> Facts:
    """Return the facts with at most so many changes, the newest, which are the first; and a note of how many are left out."""
    older = len(facts["changes"]) - count
    if older <= 0:
        return facts
    notes = [*facts["changes_notes"], f"{older} older changes are left out: there is no room for them"]
    return {**facts, "changes": facts["changes"][:count], "changes_notes": notes}


def _cut(told: Facts, errors: int, chars: int) -> Facts:
    """Return what is told of one service with at most so many errors, and of each text so many characters."""
    kept = {**told, "errors": told["errors"][:errors]} if "errors" in told else told
    return _shortened(kept, chars)


def _shortened(value: Any, chars: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= chars else value[: chars - 1] + "…"
    if isinstance(value, list):
        return [_shortened(item, chars) for item in value]
    if isinstance(value, dict):
        return {key: _shortened(item, chars) for key, item in value.items()}
    return value


def _fewer(facts: Facts) -> Facts:
    """Return the facts with as many services as there is room for, the sick ones first, and how many are left out."""
    sick_first = sorted(facts["services"].items(), key=lambda item: bool(item[1].get("health", item[1])["healthy"]))
    kept: Facts = {}
    room = FACTS_LIMIT - size({**facts, "services": {}}) - 100
    for name, told in sick_first:
        room -= size({name: told}) + 2
        if room < 0:
            break
        kept[name] = told
    return {**facts, "services": kept, "left_out": len(facts["services"]) - len(kept)}


def size(facts: Facts) -> int:
    """Return how many bytes of JSON facts are."""
    return len(json.dumps(facts))
