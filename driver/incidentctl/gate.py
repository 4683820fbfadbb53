"""Every act on hosts passes here: what the guards refuse is not begun, and who overrides one is in the record."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from incidentctl import guards, here
from incidentctl.desk import Desk
from incidentctl.guards import Refusal
from incidentctl.incident import Event
from incidentctl.plan import Inventory, PlannedStep
from incidentctl.record import Record
from incidentctl.settings import Settings


def refusals(
    settings: Settings, inventory: Inventory, record: Record | None, steps: Iterable[PlannedStep]
) -> tuple[Refusal, ...]:
    """Return what the guards refuse of these steps, by what is known before anything is connected to.

    How instances are is known from the open incidents of the record; without one, each counts as there.
    """
    steps = tuple(steps)
    known = guards.Known()
    if isolated := guards.isolated(steps):
        out = {} if record is None else guards.out(_events(record))
        known = guards.Known(here.hosts_here(isolated, inventory.places), out)
    return guards.refusals(steps, inventory, settings.guards, known)


def unless_refused(desk: Desk, step: PlannedStep, narrow: str = "", again: str = "") -> list[Refusal]:
    """Return the guards that refuse the step and are overridden now, and are not so in the record yet.

    Raise RefusedError, which tells of all of them and of the ways out, if one is not overridden.
    """
    resume = f"incidentctl resume {desk.incident_id}"
    known = desk.incident().overrides
    found = [
        refusal
        for refusal in refusals(desk.settings, desk.inventory, desk.record, (step,))
        if not guards.is_remembered(refusal, known)
    ]
    if left := [refusal for refusal in found if refusal.guard not in desk.override]:
        what = f"{desk.incident_id}: {step.phase}"
        raise guards.refused(left, what, narrow or f"{resume} --limit HOSTS", again or resume)
    return found


def admit(desk: Desk, step: PlannedStep, narrow: str = "", again: str = "") -> None:
    """Let a step begin: raise RefusedError as above, and record which guards are overridden for it, and by whom."""
    for refusal in unless_refused(desk, step, narrow, again):
        desk.show("note", text=f"{refusal.guard} is overridden: {refusal.told}.")
        desk.note("overridden", guard=refusal.guard, told=refusal.told, targets=sorted(map(list, refusal.targets)))


def _events(record: Record) -> list[Event]:
    names = record.unsettled(datetime.now(UTC))
    return sorted((event for name in names for event in record.events(name)), key=lambda event: event.at)
