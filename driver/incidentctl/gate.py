"""Every act on hosts passes here: what the guards refuse is not begun, and who overrides one is in the record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from incidentctl import guards, here
from incidentctl.desk import Desk
from incidentctl.guards import Instance, Refusal
from incidentctl.incident import Event, Incident
from incidentctl.plan import Inventory, PlannedStep
from incidentctl.record import Record
from incidentctl.settings import Settings


def refusals(
    settings: Settings,
    inventory: Inventory,
    record: Record | None,
    steps: Iterable[PlannedStep],
    incident: Incident | None = None,
) -> tuple[Refusal, ...]:
    """Return what the guards refuse of these steps, by what is known before they begin.

    How instances are is known from the open incidents of the record; without one, each counts as there. What the hosts said
    of backups and of who their users come by is known from the `incident`.
    """
    steps = tuple(steps)
    isolated = guards.isolated(steps)
    known = guards.Known(
        here.hosts_here(isolated, inventory.places) if isolated else frozenset(),
        guards.out(_events(record)) if record is not None and guards.takes_away(steps) else {},
        now=datetime.now(UTC),
    )
    if incident is not None:
        known = replace(known, backups=_backups(incident, inventory), proxies=_proxies(incident))
    return guards.refusals(steps, inventory, settings.guards, known)


def unless_refused(desk: Desk, step: PlannedStep, narrow: str = "", again: str = "") -> list[Refusal]:
    """Return the guards that refuse the step and are overridden now, and are not so in the record yet.

    Raise RefusedError, which tells of all of them and of the ways out, if one is not overridden.
    """
    resume = f"incidentctl resume {desk.incident_id}"
    incident = desk.incident()
    found = [
        refusal
        for refusal in refusals(desk.settings, desk.inventory, desk.record, (step,), incident)
        if not guards.is_remembered(refusal, incident.overrides)
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


def limited_all_the_same(desk: Desk, step: PlannedStep) -> dict[str, list[str]]:
    """Return by host the services of a step that are limited though it is a proxy who would be: hosts hold that guard themselves.

    It is overridden for what the record names. Where it is named now, also for what no look before the question has seen:
    of what was seen without a proxy, nobody has said that one may be limited there.
    """
    incident, mine = desk.incident(), {target for target in step.targets if target[1] == "rate_limit"}
    rows = (row for row in incident.overrides if row.get("guard") == "proxy")
    meant = mine & {tuple(target) for row in rows for target in row.get("targets", ())}
    if "proxy" in desk.override:
        seen = {(row["host"], row["target"]) for plan in incident.plans.values() for row in plan.get("rows", ())}
        meant |= {target for target in mine if (target[0], target[2]) not in seen}
    return {host: sorted({s for h, _, s in meant if h == host}) for host in sorted({target[0] for target in meant})}


def _backups(incident: Incident, inventory: Inventory) -> dict[Instance, str | None]:
    """Return the backups that matter: the newer of what the host had when it was asked, and of what this incident made."""
    rows = [row for phase in ("contain", "diagnose") for row in incident.outcomes.get(phase, ())]
    there, made = guards.across_a_schema_change(rows, inventory), guards.backed_up(rows)
    return {key: max(filter(None, (at, made.get(key))), default=None) for key, at in there.items()}


def _proxies(incident: Incident) -> dict[Instance, str]:
    return {(host, name): told for plan in incident.plans.values() for host, name, told in plan.get("proxies", ())}


def _events(record: Record) -> list[Event]:
    names = record.unsettled(datetime.now(UTC))
    return sorted((event for name in names for event in record.events(name)), key=lambda event: event.at)
