"""Did it work? Health over a while, data, errors and what the monitoring measures, against before; and after the lift."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from incidentctl import (
    dependency_graph,
    figures,
    figures_queries,
    measurements,
    monitoring,
    onset,
    plan,
    standing,
    verdict,
)
from incidentctl.desk import Desk, skip_step, tell
from incidentctl.errors import DecisionAwaited, NotRecovered
from incidentctl.figures import mapping
from incidentctl.guards import ISOLATING
from incidentctl.incident import Incident
from incidentctl.ledgers import held_by_others
from incidentctl.outcome import Outcome
from incidentctl.phases.decision import ask_anew
from incidentctl.plan import Service
from incidentctl.steps import finish_step, run_step
from incidentctl.verdict import Looks, Verdict

_TAKES_OFF = ("isolation", "scale_down")
_KEEPS_AWAY = (*ISOLATING, "maintenance_mode")  # what is measured of users then says nothing
_EARLIER = 20  # verifications of earlier incidents that are looked back at
_SICK_S = 15.0  # the release that is gone forward to is as sick as it was: its health is not waited for for long
_LOOK_S = 1.0  # between two looks at the monitoring
_SHORT_S = 1.0  # a look after which nothing was lifted: no more has changed since the last one


def verify(desk: Desk) -> None:
    """Did it work? Health must hold for a window, seen from the hosts themselves, and the figures be as before."""
    window = desk.settings.verify.window
    affected = desk.at_issue()
    outcome, found = _look(desk, "verify", affected, window)
    healths = {row.host: _health(row.facts) for row in outcome.rows}
    desk.note("verified", window_s=window, services=healths, **found.as_data())
    desk.show("verified", found=found, window_s=window)
    _follow_up(desk)
    tell(desk, None)
    finish_step(desk, outcome, None if found.recovered else "failed")
    option = (desk.incident().decision or {}).get("option")
    # A mitigation need not make it well; a playbook of the user's own must.
    if not found.recovered and (found.verdict == verdict.WORSE or option != "mitigate" or not holds(desk)):
        forward = go_forward(desk) if found.verdict == verdict.WORSE else ""
        ask_anew(desk)
        raise NotRecovered(
            f"{desk.incident_id}: {found.verdict.replace('_', ' ')} after {option}.",
            "\n".join([*found.reasons, *([forward] if forward else [])]),
            f"containment stays; choose another way: incidentctl decide {desk.incident_id} OPTION",
        )


def go_forward(desk: Desk) -> str:
    """Take a rollback that made it worse back, if the settings or a person say so; return what came of it, in words."""
    incident = desk.incident()
    if incident.decision is None or incident.decision["option"] != "rollback":
        return ""
    rows = [row for row in incident.outcomes.get("recover", ()) if row["capability"] == "rollback"]
    known = {service.name for service in desk.services()}  # a host might name anything
    back = {
        name: mapping(facts).get("from")
        for row in rows
        if row["outcome"] == "done"
        for name, facts in mapping(mapping(row["facts"]).get("services")).items()
        if name in known
    }
    if not back:
        return ""
    named = ", ".join(f"{name} to {release}" for name, release in back.items())
    if desk.settings.verify.on_worse != "forward":
        answer = desk.ask("forward", named=named)
        if answer is not None:
            desk.note("approved", what="forward", answer=answer)
        if answer != "yes":
            only = json.dumps({"rollback_forward": True, "rollback_only": list(back), "incident_id": desk.incident_id})
            command = f"ansible-playbook incidentctl.response.rollback -e '{only}'"
            return f"The release stays as it is; forward again, {named}: {command}"
    services = tuple(service for service in desk.services() if service.name in back)
    variables = {
        "rollback_only": list(back),
        "rollback_forward": True,
        "rollback_within_s": min(desk.settings.verify.within, _SICK_S),
        "rollback_serial": "100%",
    }
    hosts = tuple(row["host"] for row in rows if row["outcome"] == "done")
    outcome = run_step(desk, plan.step("forward", ("rollback",), hosts, services), variables)
    return "\n".join(
        f"{row.host}: {row.outcome}: {action['summary']}" for row in outcome.rows for action in row.actions
    )


def holds(desk: Desk) -> bool:
    """Say whether what was decided only holds the incident: what it put in place must stay there."""
    return standing.holding(desk.incident())


def unless_held(desk: Desk) -> None:
    """Raise DecisionAwaited if what was decided only holds the incident: nobody but a person takes that back."""
    if holds(desk):
        verified = desk.incident().verified or {}
        raise DecisionAwaited(
            f"{desk.incident_id} is mitigated, not solved: the containment stays.",
            f"It is no more than held until the proper fix is there. {verified.get('told', '')}".strip(),
            f"when it is: incidentctl lift {desk.incident_id}, then incidentctl close {desk.incident_id}",
        )


def monitor(desk: Desk) -> None:
    """Lifting was a change too: look once more, now that the service has its users back, and at the monitoring.

    What who joins meanwhile counts as affected is looked at as well.
    """
    seen = None
    while (affected := _unheld(desk)) != seen:
        desk.hear()
        _monitor(desk, affected)
        seen = affected


def _unheld(desk: Desk) -> tuple[Service, ...]:
    """Return the affected services that no other incident keeps contained."""
    incident = desk.incident()
    held = {name for _, name in held_by_others(incident)}
    return tuple(s for s in desk.services() if s.name in incident.affected and s.name not in held)


def _monitor(desk: Desk, affected: tuple[Service, ...]) -> None:
    if not affected:
        skip_step(desk, "monitor")
        return
    lifted = any(event.kind == "containment_lifted" for event in desk.record.events(desk.incident_id))
    outcome, found = _look(desk, "monitor", affected, desk.settings.verify.window if lifted else _SHORT_S)
    facts: dict[str, Any] = {"verified": found.as_data()}
    if found.recovered:
        facts["monitoring"] = calmed(desk, affected)
    desk.show("verified", found=found, alerts=facts.get("monitoring"))
    finish_step(desk, outcome, None if found.recovered else "failed", **facts)
    if not found.recovered:
        raise NotRecovered(
            f"{desk.incident_id}: {found.verdict.replace('_', ' ')} after the containment was lifted.",
            "\n".join(found.reasons),
            f"incidentctl decide {desk.incident_id} OPTION",
        )


def _look(desk: Desk, phase: str, affected: tuple[Service, ...], window: float) -> tuple[Outcome, Verdict]:
    """Watch these services, and what they need, for a window; the step is not finished then."""
    looked = (*affected, *_needed_by(desk, affected))
    variables = {
        "health_check_only": [service.name for service in looked],
        "health_check_window_s": window,
        "health_check_within_s": desk.settings.verify.within,
        "health_check_figures": True,
    }
    step = plan.step(phase, ("health_check",), desk.hosts_of(looked), looked)
    outcome = run_step(desk, step, variables, finish=False)
    incident, queries = desk.incident(), desk.settings.monitoring.queries
    began = onset.kept(incident.onset)
    began_at = None if began is None else onset.moment(began.at)
    before = began_at or onset.moment(incident.declared_at)
    earlier = desk.record.earlier("verified", before, _EARLIER, drills=False) if before else []
    looks = Looks(
        at_issue=tuple(service.name for service in affected),
        triage=incident.outcomes.get("triage", ()),
        diagnosis=incident.outcomes.get("diagnose", ()),
        after=[{"host": row.host, "capability": row.capability, "outcome": row.outcome, "facts": row.facts}
               for row in outcome.rows],
        onset=began_at,
        off=frozenset((row["host"], row["target"]) for row in incident.contained if row["capability"] in _TAKES_OFF),
        kept_away=any(row["capability"] in _KEEPS_AWAY for row in incident.contained),
        answered=figures.answered(event.data for event in earlier),
        times=[name for name, query in queries.items() if figures_queries.is_time(query)],
    )  # fmt: skip
    return outcome, _measured(desk, looks) if queries else verdict.of(looks)


def _measured(desk: Desk, looks: Looks) -> Verdict:
    """Judge by what the monitoring's queries gave before the onset, since then until the recovery began, and now, too.

    Where only they are not as they should be, they are asked again for a while: a rate forgets slowly.
    """
    asked, services = desk.settings.monitoring, looks.at_issue
    with measurements.asked(desk):
        past, problems = monitoring.measured(asked, services, _spans(desk.incident(), looks.onset))
    until = time.monotonic() + desk.settings.verify.within
    patient = verdict.of(looks).recovered
    while True:
        now, failing = monitoring.measured(asked, services, [None])
        queries = {
            name: {service: ([None] * 2 + past[name][service])[-2:] + values for service, values in each.items()}
            for name, each in now.items()
        }
        found = verdict.of(replace(looks, queries=queries))
        if found.recovered or not patient or time.monotonic() >= until:
            break
        time.sleep(_LOOK_S)
    for problem in dict.fromkeys([*problems, *failing]):
        desk.show("note", text=f"  monitoring: {problem}")
    return found


def _spans(incident: Incident, began: datetime | None) -> list[tuple[float, float] | None]:
    """Return before the onset, where that is known, and from then until the recovery began."""
    recovery = next((phase.started_at for phase in reversed(incident.phases) if phase.name == "recover"), None)
    declared = onset.moment(incident.declared_at)
    until, since = onset.moment(recovery) or declared, began or declared
    if until is None or since is None:
        return []
    before = [(began.timestamp() - measurements.AROUND_S, began.timestamp())] if began else []
    return [*before, (min(since, until).timestamp(), until.timestamp())]


def _needed_by(desk: Desk, affected: tuple[Service, ...]) -> tuple[Service, ...]:
    """Return what these services need, as far as it is in scope, can be asked for its health, and is not contained."""
    graph = dependency_graph.graph(desk.inventory.services, desk.inventory.addresses)
    names = dependency_graph.reached([service.name for service in affected], graph.needs)
    names -= {service.name for service in affected} | {str(row["target"]) for row in desk.incident().contained}
    return tuple(s for s in desk.services() if s.name in names and {"health", "manager"} & set(s.spec))


def _health(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is told of health, without the figures beside it: these stand in the outcome of the host."""
    rest = ("data", "new_errors")
    services = mapping(mapping(facts).get("services"))
    return {name: {k: v for k, v in mapping(told).items() if k not in rest} for name, told in services.items()}


def _follow_up(desk: Desk) -> None:
    incident = desk.incident()
    held = holds(desk)
    if incident.decision is None or not (held or incident.decision["option"] == "mitigate"):
        return
    text = "Schedule the proper fix" + (", then lift the mitigation" if held else "")
    if text not in {row.get("text") for row in incident.follow_ups}:
        desk.note("follow_up", text=text, owner=desk.actor)


def calmed(desk: Desk, affected: Iterable[Service]) -> dict[str, Any]:
    """Give the monitoring time to see it too; return what it says then.

    Only what it said of the affected services and their hosts before is waited for: some alerts are always there.
    What still alerts does not undo the verification, and is followed up.
    """
    names = {name for service in affected for name in (service.name, *service.hosts)}
    names |= {address for host, address in desk.inventory.addresses.items() if host in names}
    before = desk.incident().monitoring.get("triage", {})
    troubles = {text for text in monitoring.troubles(before) if any(name in text for name in names)}
    until = time.monotonic() + desk.settings.verify.within
    seen = monitoring.look(desk.settings.monitoring)
    while (still := troubles & set(monitoring.troubles(seen))) and time.monotonic() < until:
        time.sleep(_LOOK_S)
        seen = monitoring.look(desk.settings.monitoring)
    desk.show("calmed", seen=seen)
    text = f"Find out why the monitoring still reports {', '.join(sorted(still))}"
    if still and text not in {row["text"] for row in desk.incident().follow_ups}:
        desk.note("follow_up", text=text, owner=desk.actor)
    return seen
