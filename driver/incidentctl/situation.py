"""What the record knows that bears on the recovery options."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from incidentctl import clocks, event_data, history, mitigation, options, plan, precedents
from incidentctl.desk import Desk
from incidentctl.incident import Incident
from incidentctl.options import backups
from incidentctl.outcome import HostOutcome
from incidentctl.precedents import Precedent

_RUN_BY_HOSTS = ("rollback", "hotfix")  # a host says how long these took


def situation(desk: Desk) -> options.Situation:
    """Gather the facts of this incident, and of past ones, for options.assess."""
    incident = desk.incident()
    affected = tuple(service.name for service in desk.at_issue())
    names = desk.record.incidents()[: precedents.MOST]
    before = [precedents.read(desk.record.events(name)) for name in names if name != desk.incident_id]
    mine = precedents.read(desk.record.events(desk.incident_id))
    diagnosed = _rows(incident, "diagnose")
    return options.Situation(
        affected=affected,
        now=datetime.now(UTC),
        specs={service.name: service.spec for service in desk.services()},
        rollback=by_service(_leaving(_by_our_clock(_rehearsed(incident)), ways_back(incident)), "prepare_rollback"),
        onset=_onsets(incident),
        causes=tuple(_causes(incident)),
        new_errors=_new_errors(diagnosed),
        looks=tuple(_looks(incident)),
        backups=_backups(desk, diagnosed, [*before, mine], affected),
        past=_past([*before, mine], affected),
        solved=precedents.alike(before, precedents.pattern(incident.judged)),
        drilled=precedents.drills(before, affected, precedents.pattern(incident.judged)),
        within_s=desk.settings.verify.within,
        mitigations=tuple(_mitigations(desk)),
        custom=tuple(
            options.Own(name, frozenset(own.causes), own.title)
            for name, own in sorted(desk.settings.custom_playbooks.items())
        ),
        tried=tuple(attempt.way for attempt in mine.attempts if attempt.begun),
    )


def ways_back(incident: Incident) -> dict[str, list[str]]:
    """Return by service the releases that its hosts would go back to: a host that runs one of them goes no further back.

    So it is where a release is on some hosts only, or somebody has begun to take it back by hand.
    """
    found: dict[str, set[str]] = {}
    for name, facts in _told(_rehearsed(incident), "prepare_rollback"):
        if isinstance(facts, Mapping) and facts.get("feasible") and isinstance(facts.get("to"), str):
            found.setdefault(name, set()).add(facts["to"])
    return {name: sorted(releases) for name, releases in found.items()}


def _rehearsed(incident: Incident) -> tuple[HostOutcome, ...]:
    return (*_rows(incident, "contain"), *_rows(incident, "diagnose"))


def _leaving(rows: Iterable[HostOutcome], stay_at: Mapping[str, list[str]]) -> Iterator[HostOutcome]:
    """Give what hosts say of a way back, but for services that are at a release that others go back to."""
    for row in rows:
        services = row.facts.get("services")
        if row.capability != "prepare_rollback" or not isinstance(services, Mapping):
            continue
        left = {
            name: facts
            for name, facts in services.items()
            if isinstance(facts, Mapping) and facts.get("from") not in stay_at.get(name, [])
        }
        yield replace(row, facts={**row.facts, "services": left})


def _onsets(incident: Incident) -> dict[str, str]:
    """When each service's trouble began; of an affected one that does not tell it, when all of it began."""
    told = history.of(incident)
    began = dict.fromkeys(incident.affected, told.onset.at) if told.onset else {}
    return began | {name: one.at for name, one in told.onsets.items()}


def _causes(incident: Incident) -> Iterator[options.Cause]:
    found = (incident.judged or {}).get("causes")
    for row in found if isinstance(found, list) else ():
        score, service = row.get("score"), row.get("service")
        if isinstance(score, int) and isinstance(row.get("kind"), str):
            yield options.Cause(row["kind"], None if service is None else str(service), str(row.get("title")), score)


def _new_errors(diagnosed: Iterable[HostOutcome]) -> dict[str, options.Errors | None]:
    """Count what is new since each service's release, on all hosts; None where a host cannot tell, and none is new."""
    found: dict[str, dict[str, int]] = {}
    untold: set[str] = set()
    for name, facts in _told(diagnosed, "diagnosis"):
        errors = facts.get("errors") if isinstance(facts, Mapping) else None
        kinds = found.setdefault(name, {})
        if not isinstance(errors, list):
            untold.add(name)
            continue
        for error in event_data.rows(errors):
            if error.get("new") is True and error.get("new_since") == "release":
                template, again = str(error.get("template")), error.get("again_count")
                count = error.get("count") if again is None else again
                kinds[template] = kinds.get(template, 0) + (count if isinstance(count, int) else 0)
            elif error.get("new") is None or error.get("new_since") == "onset":
                untold.add(name)  # new it may be, but by what release nobody can say
    return {
        name: None if not kinds and name in untold else options.Errors(sum(kinds.values()), len(kinds))
        for name, kinds in found.items()
    }


def _looks(incident: Incident) -> Iterator[options.Look]:
    """Give how services that the triage found sick were when they were looked at after it: by the diagnosis, by `watch`.

    Where a health check saw nothing of the trouble from the start, that it sees nothing later says nothing.
    """
    sick = {
        name
        for name, health in _told(_rows(incident, "triage"), "health_check")
        if isinstance(health, Mapping) and health.get("healthy") is False
    }
    ends = {phase.name: phase.finished_at for phase in incident.phases}
    if ends.get("diagnose"):
        for name, facts in _told(_rows(incident, "diagnose"), "diagnosis"):
            health = facts.get("health") if isinstance(facts, Mapping) else None
            if name in sick and isinstance(health, Mapping) and health.get("healthy") is not None:
                yield options.Look(str(ends["diagnose"]), name, health["healthy"] is True)
    for note in incident.notes:
        seen = note.get("watch")
        for name, state in seen.items() if isinstance(seen, Mapping) else ():
            if name not in sick:
                continue
            yield options.Look(str(note["at"]), str(name), state == "well")


def _backups(
    desk: Desk, diagnosed: Iterable[HostOutcome], there: Iterable[Precedent], affected: Iterable[str]
) -> dict[str, list[options.Backup]]:
    """All backups of the affected services that their hosts told of, or that the record knows of, whichever incident made them.

    A host of which neither knows anything has data that may be in none.
    """
    found: dict[str, list[options.Backup]] = {name: [] for name in affected}
    heard: set[tuple[str, str]] = set()
    for outcome in diagnosed:
        for name, facts in _told([outcome], "diagnosis"):
            if name in found and (told := [*backups.told(outcome.host, facts)]):
                found[name] += told
                heard.add((name, outcome.host))
    for past in there:
        for name, row in past.backups:
            if name in found:
                host = str(row.get("host"))
                at = row.get("at") if row.get("verified") is True else None
                found[name].append(options.Backup(backups.item(host, row), None if at is None else str(at)))
                heard.add((name, host))
    for service in desk.services():
        if service.name in found and service.spec.get("data"):
            unheard = [h for h in service.hosts if h in desk.hosts() and (service.name, h) not in heard]
            found[service.name] += [
                options.Backup(f"{host}, all data", None, None, "nothing is known of it") for host in unheard
            ]
    return found


def _past(before: Sequence[Precedent], affected: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """Seconds that each way took for the affected services before, drills apart.

    Of a rollback and a hotfix hosts have said it; of anything else it is known from the decision to the verdict.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for past in (past for past in before if not past.drill):
        runs = [*past.runs]
        for attempt in past.attempts:
            if attempt.recovered and attempt.seconds is not None and attempt.option not in _RUN_BY_HOSTS:
                runs += [(attempt.way, name, attempt.seconds) for name in past.services]
        for way, name, seconds in runs:
            if name in affected:
                found.setdefault(way, {}).setdefault(name, []).append(seconds)
    return found


def _mitigations(desk: Desk) -> Iterator[options.Mitigation]:
    """What `mitigate` of incidentctl.yml would do, with the services that each is for."""
    judged = desk.incident().judged
    for name in desk.settings.mitigate:
        fits = mitigation.services(name, judged, desk.at_issue(), desk.services())
        if fits:
            lasts = ", until it is lifted" if name in plan.LIFTABLE else ""
            yield options.Mitigation(name, plan.MITIGATIONS[name] + lasts, tuple(service.name for service in fits))


def _by_our_clock(rows: Sequence[HostOutcome]) -> Iterator[HostOutcome]:
    """Give the rows with the times of deployments as our clock would have had them; the onset is by ours, too."""
    skew = clocks.wrong({row.host: row.facts for row in rows if row.capability == "diagnosis"})
    for row in rows:
        services, off = row.facts.get("services"), skew.get(row.host)
        if off is None or not isinstance(services, Mapping):
            yield row
            continue
        told = {
            name: {**facts, "deployed_at": clocks.moved(facts.get("deployed_at"), off)}
            if isinstance(facts, Mapping)
            else facts
            for name, facts in services.items()
        }
        yield replace(row, facts={**row.facts, "services": told})


def _rows(incident: Incident, phase: str) -> tuple[HostOutcome, ...]:
    return tuple(
        HostOutcome(row["host"], row["capability"], row["outcome"], facts=row.get("facts", {}))
        for row in (incident.outcomes or {}).get(phase, ())
    )


def _told(rows: Iterable[HostOutcome], capability: str) -> Iterator[tuple[str, Any]]:
    """Give what each host says of each service."""
    for row in rows:
        services = row.facts.get("services") if row.capability == capability else None
        yield from services.items() if isinstance(services, Mapping) else ()


def by_service(rows: Iterable[HostOutcome], capability: str) -> dict[str, Any]:
    """Facts by service name. Of several hosts the one that needs the look wins, then the first."""
    merged: dict[str, Any] = {}
    for name, facts in _told(rows, capability):
        if isinstance(facts, Mapping) and (name not in merged or (_is_well(merged[name]) and not _is_well(facts))):
            merged[name] = facts
    return merged


def _is_well(facts: Mapping[str, Any]) -> bool:
    health = facts.get("health")
    return facts.get("feasible") is not False and not (isinstance(health, dict) and health.get("healthy") is False)
