"""The decision: figures for the ways out, and the question that only a person answers."""

from __future__ import annotations

import dataclasses

from incidentctl import options
from incidentctl.desk import Desk, record_decision
from incidentctl.errors import DecisionAwaited
from incidentctl.situation import situation


def assess(desk: Desk) -> None:
    """Put figures to the ways out."""
    desk.note("step_started", phase="assess", capabilities=[], hosts=[])
    weigh(desk)
    desk.note("step_finished", phase="assess", outcome="done")


def weigh(desk: Desk) -> None:
    """Record the options as the facts stand now."""
    found = options.assess(situation(desk))
    desk.note("options_assessed", options=[dataclasses.asdict(option) for option in found])


def ask_anew(desk: Desk) -> None:
    """What was decided did not help: weigh again, knowing that, and put the question again. Nothing follows of itself."""
    weigh(desk)
    desk.note("question_asked", question="Which recovery?", options=[o["key"] for o in desk.incident().options])


def decide(desk: Desk) -> None:
    """A person chooses. Nobody else does, and no time that passes does."""
    incident = desk.incident()
    if incident.decision is None:
        found = incident.options
        desk.show("options", options=found)
        if incident.question is None:
            desk.note("question_asked", question="Which recovery?", options=[o["key"] for o in found])
        choice = desk.option or desk.ask("decide", options=found, poll=desk.incident)
        decided_elsewhere = desk.incident().decision is not None
        if choice is None and not decided_elsewhere:
            recommended = next((o["key"] for o in found if o["recommended"]), "OPTION")
            raise DecisionAwaited(
                f"{desk.incident_id}: which recovery?",
                "Nothing is carried out until a person decides.",
                f"incidentctl decide {desk.incident_id} {recommended}",
            )
        if not decided_elsewhere:
            record_decision(desk, str(choice), desk.playbook)
    desk.note("step_started", phase="decide", capabilities=[], hosts=[])
    desk.note("step_finished", phase="decide", outcome="done")
