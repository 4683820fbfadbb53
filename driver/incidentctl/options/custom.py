"""Option D: a playbook of the user's own. Pure."""

from __future__ import annotations

from incidentctl import remedies
from incidentctl.options import points
from incidentctl.options.facts import Cause, Fact, Option, Own, Situation, Way, impossible
from incidentctl.options.figures import downtime, since_backup
from incidentctl.options.weighing import common, confidence, likeliest, told
from incidentctl.precedents import way

TITLE = "A playbook of your own"


def custom(situation: Situation) -> Way:
    """Weigh them all; the one that fits best speaks for them, the others can be chosen by name."""
    if not situation.custom:
        return impossible("custom", "D", TITLE, "incidentctl.yml names no custom_playbooks")
    ordered = sorted(situation.custom, key=lambda own: _rank(situation, own))
    first = ordered[0]
    data, sources = since_backup(situation, situation.affected)
    sources = ("data: what it does to them is known to its author alone", *sources)
    if not _is_known(situation, first):
        option = Option(
            "custom", "D", TITLE, True,
            downtime="unknown", data_at_risk=data, confidence=None,
            because=("nothing is known of what a custom playbook does, unless it says what it is `for`", *sources),
            steps=tuple(_choose(own) for own in ordered),
        )  # fmt: skip
        return Way(option)
    facts = _facts(situation, first)
    time, its_source = downtime(situation, way("custom", first.name), situation.affected)
    option = Option(
        "custom", "D", f"{first.title or TITLE} ({first.name})", True,
        downtime=time,
        data_at_risk=data,
        confidence=confidence(facts),
        because=(*told(facts), its_source, *sources),
        steps=(
            f"{first.name}: run it on the incident's hosts, see health hold",
            *(f"or {_choose(own)}" for own in ordered[1:]),
        ),
        playbook=first.name,
    )  # fmt: skip
    return Way(option, facts, way("custom", first.name) not in situation.tried)


def _facts(situation: Situation, own: Own) -> tuple[Fact, ...]:
    return (
        Fact(points.OWN, f"what {own.name} does is known to its author alone"),
        *common(situation, "custom", own.name, lambda cause: _touches(situation, own, cause), own.name),
    )


def _touches(situation: Situation, own: Own, cause: Cause) -> bool | None:
    """Where a playbook is for a symptom, the site knows what lies behind it: then any other playbook is not for it."""
    found = remedies.touches("custom", cause.kind, own.causes)
    others = (other.causes for other in situation.custom)
    return False if found is None and any(cause.kind in causes for causes in others) else found


def _is_known(situation: Situation, own: Own) -> bool:
    """Say whether anything speaks for it: it is for the likeliest cause, or it helped before."""
    found = likeliest(situation.causes, lambda cause: _touches(situation, own, cause)) if own.causes else None
    name = way("custom", own.name)
    return (found is not None and found[1]) or any(a.way == name and a.recovered for a in situation.solved)


def _rank(situation: Situation, own: Own) -> tuple[bool, bool, int, str]:
    known = _is_known(situation, own)
    tried = way("custom", own.name) in situation.tried
    return not known, tried, -confidence(_facts(situation, own)) if known else 0, own.name


def _choose(own: Own) -> str:
    title = f": {own.title}" if own.title else ""
    return f"incidentctl decide custom --playbook {own.name}{title}"
