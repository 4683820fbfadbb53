"""What the record knows that bears on the recovery options."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from incidentctl import history, options, plan
from incidentctl.desk import Desk
from incidentctl.incident import Incident, fold
from incidentctl.outcome import HostOutcome


def situation(desk: Desk) -> options.Situation:
    """Gather the facts of this incident, and of past ones, for options.assess."""
    incident = desk.incident()
    return options.Situation(
        affected=tuple(service.name for service in desk.at_issue()),
        now=datetime.now(UTC),
        specs={service.name: service.spec for service in desk.services()},
        rollback=by_service([*_rows(incident, "contain"), *_rows(incident, "diagnose")], "prepare_rollback"),
        onset=_onsets(incident),
        backups=by_service(_rows(incident, "contain"), "backup"),
        past_seconds=_past(desk),
        within_s=desk.settings.verify.within,
        mitigations=_mitigations(desk),
        custom=tuple(sorted(desk.settings.custom_playbooks)),
        tried=_tried(desk),
    )


def _onsets(incident: Incident) -> dict[str, str]:
    """When each service's trouble began; of an affected one that does not tell it, when all of it began."""
    told = history.of(incident)
    began = dict.fromkeys(incident.affected, told.onset.at) if told.onset else {}
    return began | {name: one.at for name, one in told.onsets.items()}


def _past(desk: Desk) -> dict[str, list[float]]:
    """Seconds that past recoveries of the affected services took, from all incidents of the record, drills apart."""
    affected = set(desk.incident().affected)
    found: dict[str, list[float]] = {"rollback": [], "hotfix": []}
    for other in desk.record.incidents():
        events = desk.record.events(other)
        for event in () if fold(events).drill else events:
            capability = str(event.data.get("capability"))
            if event.kind == "host_outcome" and capability in found:
                for name, facts in event.data.get("facts", {}).get("services", {}).items():
                    if name in affected and facts.get("seconds") is not None and event.data["outcome"] == "done":
                        found[capability].append(float(facts["seconds"]))
    return found


def _mitigations(desk: Desk) -> dict[str, list[str]]:
    """What `mitigate` of incidentctl.yml would do, in words, with the affected services that it fits."""
    found = {
        plan.CONTAINMENTS[name]: [service.name for service in desk.at_issue() if plan.is_meant_for(name, service)]
        for name in desk.settings.mitigate
    }
    return {does: names for does, names in found.items() if names}


def _tried(desk: Desk) -> tuple[str, ...]:
    return tuple(e.data["option"] for e in desk.record.events(desk.incident_id) if e.kind == "decided")


def _rows(incident: Incident, phase: str) -> tuple[HostOutcome, ...]:
    return tuple(
        HostOutcome(row["host"], row["capability"], row["outcome"], facts=row.get("facts", {}))
        for row in (incident.outcomes or {}).get(phase, ())
    )


def by_service(rows: Iterable[HostOutcome], capability: str) -> dict[str, Any]:
    """Facts by service name. Of several hosts the one that needs the look wins, then the first."""
    merged: dict[str, Any] = {}
    for row in rows:
        for name, facts in row.facts.get("services", {}).items() if row.capability == capability else ():
            if name not in merged or (_is_well(merged[name]) and not _is_well(facts)):
                merged[name] = facts
    return merged


def _is_well(facts: Any) -> bool:
    if not isinstance(facts, dict):
        return True
    health = facts.get("health")
    return facts.get("feasible") is not False and not (isinstance(health, dict) and health.get("healthy") is False)
