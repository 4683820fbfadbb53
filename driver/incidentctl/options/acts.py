"""Options B, C and E: a hotfix, a mitigation, waiting. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from incidentctl import remedies
from incidentctl.options import points
from incidentctl.options.facts import Cause, Fact, Mitigation, Option, Situation, Way, impossible
from incidentctl.options.figures import downtime, since_backup
from incidentctl.options.weighing import common, confidence, is_recovering, likeliest, told, touching
from incidentctl.options.words import quoted, span


def hotfix(situation: Situation) -> Way:
    """Weigh it: possible where every affected service has a command for it."""
    title, affected = "Deploy a hotfix", situation.affected
    releases = {name: situation.specs.get(name, {}).get("releases") or {} for name in affected}
    without = [name for name, how in releases.items() if not {"hotfix", "build"} & set(how)]
    if not affected:
        return impossible("hotfix", "B", title, "no affected service is known")
    if without:
        return impossible(
            "hotfix",
            "B",
            title,
            f"{', '.join(without)}: no hotfix command, and no build, in the catalogue",
        )
    facts = (
        Fact(points.NOT_REVIEWED, "what the hotfix holds is not known here: have it reviewed"),
        *common(situation, "hotfix", "a hotfix", touching("hotfix", affected)),
    )
    time, its_source = downtime(situation, "hotfix", affected, f"{span(situation.within_s)} (default)")
    data, sources = since_backup(situation, affected)
    option = Option(
        "hotfix", "B", title, True,
        downtime=time,
        data_at_risk=data,
        confidence=confidence(facts),
        because=(*told(facts), its_source, "data: it may change the schema, and nobody here knows", *sources),
        steps=tuple(
            f"{name}: {_does(how)}, once it is reviewed, see health hold, switch back if it is no better"
            for name, how in releases.items()
        ),
    )  # fmt: skip
    return Way(option, facts, "hotfix" not in situation.tried)


def _does(releases: Mapping[str, Any]) -> str:
    if "build" not in releases:
        return "run its hotfix command"
    return f"build a new image from {(releases['build'] or {}).get('context')} without cache, run it"


def mitigate(situation: Situation) -> Way:
    """Weigh it: what of `mitigate` fits an affected service; of that what touches the likeliest cause, where one is known."""
    title, every = "Mitigate for now", situation.mitigations
    if not every:
        return impossible("mitigate", "C", title, "nothing under `mitigate` fits an affected service")

    def touches(cause: Cause) -> bool | None:
        told_of = [remedies.touches(one.capability, cause.kind) for one in every]
        return True if True in told_of else None if None in told_of else False

    found = likeliest(situation.causes, touches)
    names = remedies.fitting([one.capability for one in every], found[0].kind if found else None)
    meant = [one for one in every if one.capability in names]
    helping = [one.capability for one in meant if found and remedies.touches(one.capability, found[0].kind)]
    facts = (
        Fact(points.CAUSE_STAYS, "the cause stays until it is fixed"),
        *common(situation, "mitigate", " and ".join(helping) or "a mitigation", touches),
    )
    option = Option(
        "mitigate", "C", title, True,
        downtime="unknown",
        data_at_risk="none by this act",
        confidence=confidence(facts),
        because=told(facts),
        steps=tuple(_step(one, found[0] if found and one.capability in helping else None) for one in meant),
        capabilities=names,
    )  # fmt: skip
    return Way(option, facts, "mitigate" not in situation.tried)


def _step(one: Mitigation, cause: Cause | None) -> str:
    why = f", because it touches the likeliest cause: {quoted(cause.title)}" if cause else ""
    return f"{', '.join(one.services)}: {one.does}{why}"


def wait(situation: Situation) -> Way:
    """Weigh it: nothing is done, and the services are looked at again."""
    title = "Wait, and look again"
    if not situation.affected:
        return impossible("wait", "E", title, "no service is known to be affected: there is nothing to look at")
    facts = [
        Fact(points.NOTHING_DONE, "nothing is done about it"),
        *common(situation, "wait", "waiting", lambda _cause: None),
    ]
    recovering = is_recovering(situation)
    if recovering:
        count = sum(look.service in situation.affected for look in situation.looks)
        told_of = f"every look since the triage was healthy, {count} of {count}"
        facts.append(Fact(points.RECOVERING, told_of, telling=True))
    time, its_source = downtime(situation, "wait", situation.affected)
    option = Option(
        "wait", "E", title, True,
        downtime=time,
        data_at_risk="none by this act",
        confidence=confidence(facts),
        because=(*told(facts), its_source),
        steps=(
            f"nothing is done; health has {span(situation.within_s)} to come back by itself, and must hold then",
            "if it does not, the question is put again",
        ),
    )  # fmt: skip
    return Way(option, tuple(facts), recovering and "wait" not in situation.tried)
