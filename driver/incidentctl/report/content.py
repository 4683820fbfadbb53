"""What the report says: a list of sections, each from the events alone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from incidentctl import evidence_manifest
from incidentctl.incident import Event, Incident
from incidentctl.options import backups
from incidentctl.outcome import SUCCESS
from incidentctl.plan import LIFTABLE
from incidentctl.report import beginnings, candidates, held_back
from incidentctl.report.blocks import UNKNOWN, Command, Section, Table
from incidentctl.times import moment, when

# What a person wants to see on the timeline; the rest of the events is bookkeeping.
_TOLD = {
    "declared": "declared: {title}",
    "acknowledged": "acknowledged",
    "severity_changed": "severity is now {severity}",
    "approved": "{what} approved: {answer}",
    "overridden": "guard {guard} overridden: {told}",
    "step_started": "{phase} began",
    "step_finished": "{phase} ended: {outcome}",
    "containment_applied": "contained on {host}: {summary}",
    "containment_lifted": "lifted on {host}: {capability} {target}",
    "question_asked": "question asked: {question}",
    "decided": "decided: {option}",
    "note": "note: {text}",
    "ticketed": "ticket: {reference}",
    "notified": "{audience} about {about}: {state}",
    "resumed": "taken up again after it was cut off in {phase}",
    "resolved": "resolved",
    "cancelled": "cancelled",
    "reopened": "reopened",
    "closed": "closed",
}
# Phases without a host: their question and decision are told by events of their own.
_NO_STEPS = ("assess", "decide")


def sections(incident: Incident, events: Sequence[Event], measured: Sequence[Section] = ()) -> list[Section]:
    """Given an incident, its events, and what was measured of it, return the whole report."""
    found = [
        _summary(incident, events),
        _timeline(events),
        Section("Root-cause candidates", candidates.blocks(incident)),
        Section("What changed", beginnings.blocks(incident)),
        *measured,
        _resolution(incident),
        _containment(events),
        *([Section("Held back", held)] if (held := held_back.blocks(incident, events)) else []),
        _hosts(incident),
        _keepsakes(incident),
        _communication(incident),
        _still_open(incident),
    ]
    if events:
        head = f"{len(events)} events; the head of the chain is {events[-1].hash}."
        found.append(Section("Record", (head,)))
    return found


def span(seconds: float | None) -> str:
    """Return a duration as a person says it; `unknown` for None."""
    if seconds is None:
        return UNKNOWN
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def timeline_text(event: Event) -> str | None:
    """Return what one event says to a person, None for bookkeeping."""
    if event.kind.startswith("step_") and event.data.get("phase") in _NO_STEPS:
        return None
    if event.kind == "host_outcome":
        return _host_text(event.data)
    if event.kind == "notified" and event.data.get("state") == "queued":
        return None
    if event.kind == "closed" and event.data.get("left_contained"):
        left = [*event.data.get("left", ()), *event.data.get("not_asked", ())]
        return f"closed, although not all was taken back: {event.data['left_contained']} ({'; '.join(map(str, left))})"
    pattern = _TOLD.get(event.kind)
    more = "; it {held_back}" if event.kind == "containment_lifted" and "held_back" in event.data else ""
    return None if pattern is None else (pattern + more).format_map(_Lenient(event.data))


def _host_text(row: Mapping[str, Any]) -> str | None:
    """What was done on a host, or did not go well there; what can be lifted has an event of its own."""
    where = f"{row.get('host')}: {row.get('capability')}"
    if row.get("outcome") not in SUCCESS:
        return f"{where} {row.get('outcome')}: {row.get('reason') or UNKNOWN}"
    done = [str(a.get("summary")) for a in row.get("actions", ()) if a.get("outcome") == "done"]
    return f"{where}: {'; '.join(done)}" if done and row.get("capability") not in (*LIFTABLE, "lift") else None


class _Lenient(dict[str, Any]):
    """An event that lacks a word still has its line."""

    def __missing__(self, _key: str) -> str:
        return UNKNOWN


def _summary(incident: Incident, events: Sequence[Event]) -> Section:
    reached = incident.milestones
    detection = next((e.data.get("detection") for e in events if e.kind == "declared"), None)
    found = next(
        (e.data for e in reversed(events) if e.kind == "step_finished" and e.data.get("phase") == "triage"), {}
    )
    sick: dict[str, list[str]] = found.get("sick", {})
    impact = "; ".join(f"{name} on {', '.join(sick[name])}" if name in sick else name for name in incident.affected)
    rows = (
        ("What", incident.title),
        *((("Drill", incident.drill),) if incident.drill else ()),
        ("Severity", incident.severity),
        ("Status", incident.status),
        ("Detection", str(detection or UNKNOWN)),
        ("Onset", beginnings.onset(incident)),
        ("Declared", f"{when(incident.declared_at)} by {incident.declared_by}"),
        ("Impact", impact or "no service was seen to be affected"),
        ("Hosts looked at", ", ".join(incident.hosts) or UNKNOWN),
        ("Monitoring", _monitoring(incident.monitoring.get("triage"))),
        ("Time to acknowledge", span(reached.acknowledged) if incident.acknowledged_at else "not acknowledged"),
        ("Time to contain", span(reached.contained)),
        ("Time to resolve", span(reached.resolved) if incident.resolved_at else "not resolved"),
    )
    return Section("Summary", (Table(("", ""), rows),))


def _monitoring(seen: Mapping[str, Any] | None) -> str:
    if not seen or (seen["down"] is None and seen["alerts"] is None and not seen["problems"]):
        return "none is configured"
    told = [f"down: {', '.join(seen['down']) or 'nothing'}"] if seen["down"] is not None else []
    told += [f"alerting: {', '.join(seen['alerts']) or 'nothing'}"] if seen["alerts"] is not None else []
    return "; ".join([*told, *seen["problems"]])


def _timeline(events: Sequence[Event]) -> Section:
    rows = tuple((moment(e.at), e.actor, text) for e in events if (text := timeline_text(e)) is not None)
    return Section("Timeline (UTC)", (Table(("When", "Who", "What"), rows),))


def _resolution(incident: Incident) -> Section:
    blocks: list[str | Table | tuple[str, ...]] = []
    if incident.options:
        rows = tuple(
            (
                f"{o['letter']} {o['title']}",
                "recommended" if o.get("recommended") else ("possible" if o["feasible"] else f"no: {o['why_not']}"),
                o["downtime"],
                o["data_at_risk"],
                UNKNOWN if o["confidence"] is None else f"{o['confidence']} %",
            )
            for o in incident.options
        )
        blocks.append(Table(("Option", "", "Downtime", "Data at risk", "Confidence"), rows))
    decision = incident.decision
    blocks.append(
        f"Decided: {decision['option']}, by {decision['actor']} at {when(decision['at'])}."
        if decision
        else "Nothing was decided."
    )
    blocks.append(_actions(incident, "recover") or "No recovery was carried out.")
    verified = incident.verified
    if verified:
        blocks += _verified(verified)
    afterwards = incident.monitoring.get("monitor")
    if afterwards:
        blocks.append(f"The monitoring after the lift: {_monitoring(afterwards)}.")
    return Section("Resolution", tuple(blocks))


def _verified(verified: Mapping[str, Any]) -> list[str | Table | tuple[str, ...]]:
    """Return the verdict in a line, and its figures; one of an older version has none."""
    said = verified.get("told") or ("recovered" if verified.get("recovered") else "not recovered")
    told = f"Verified at {when(verified['at'])}, health seen over {verified.get('window_s')} s: {said}."
    rows = tuple((f["what"], f["service"], f["host"], f["told"], f["judged"]) for f in verified.get("figures") or ())
    return [told, *([Table(("Figure", "Service", "Host", "", "Judged"), rows)] if rows else [])]


def _containment(events: Sequence[Event]) -> Section:
    # An entry that turned out to be damaged is told once more: its first row is when it was contained.
    told = {(e.data.get("host"), e.data.get("entry")): e for e in reversed(events) if e.kind == "containment_applied"}
    applied = sorted(told.values(), key=lambda event: event.seq)
    lifted = {(e.data.get("host"), e.data.get("entry")): e for e in events if e.kind == "containment_lifted"}
    ends = [lifted.get((e.data.get("host"), e.data.get("entry"))) for e in applied]
    rows = tuple(
        (
            str(e.data.get("host")),
            f"{e.data.get('capability')} {e.data.get('target')}",
            when(e.at),
            "still there" if end is None else when(end.at),
            "" if end is None else str(end.data.get("held_back") or ""),
        )
        for e, end in zip(applied, ends, strict=True)
    )
    if not rows:
        return Section("Containment", ("Nothing was contained.",))
    return Section("Containment", (Table(("Host", "What", "Applied", "Lifted", "What came of it"), rows),))


def _hosts(incident: Incident) -> Section:
    rows = tuple(
        (str(row["host"]), phase, str(row["capability"]), str(row["outcome"]), str(row.get("reason") or ""))
        for phase, found in (incident.outcomes or {}).items()
        for row in found
    )
    return Section(
        "Hosts",
        (Table(("Host", "Phase", "Capability", "Outcome", "Why"), rows),) if rows else ("No host was reached.",),
    )


def _keepsakes(incident: Incident) -> Section:
    evidence = tuple(_secured(incident))
    blocks: list[str | Table | Command | tuple[str, ...]] = [
        Table(("Host", "Evidence", "Bundle", "SHA-256"), evidence) if evidence else "No evidence was collected."
    ]
    made = [
        (str(row["host"]), name, backup)
        for row in _rows(incident, "contain", "backup")
        for name, found in row.get("facts", {}).get("services", {}).items()
        for backup in found
    ]
    rows = tuple(
        (host, name, f"{b.get('kind')} {b.get('path')}", *_kept(b)) for host, name, b in made
    )  # fmt: skip
    header = ("Host", "Service", "Data", "Backup", "Repository", "Snapshot or archive")
    blocks.append(Table(header, rows) if rows else "No backup was made.")
    if since := tuple(_since(incident)):
        blocks.append(Table(("Service", "Data, as the diagnosis found them"), since))
    for host, name, backup in made:
        if backup.get("restore"):
            blocks += _ways_back(host, name, backup)
    return Section("Evidence and backups", tuple(blocks))


def _since(incident: Incident) -> Iterator[tuple[str, str]]:
    """Give each data item, with what was written since its last verified backup; one that several hosts share is one."""
    found: dict[str, list[backups.Backup]] = {}
    for row in _rows(incident, "diagnose", "diagnosis"):
        services = (row.get("facts") or {}).get("services")
        for name, facts in services.items() if isinstance(services, Mapping) else ():
            found.setdefault(str(name), []).extend(backups.told(str(row["host"]), facts))
    for name, there in sorted(found.items()):
        yield from ((name, str(one)) for one in backups.newest(there).values())


def _secured(incident: Incident) -> Iterator[tuple[str, ...]]:
    for host, said in evidence_manifest.manifest(incident)["hosts"].items():
        state = f"{said['state']}: {said['why']}" if said["why"] else str(said["state"])
        if not said["bundles"]:
            yield host, state, "–", "–"
        for number, bundle in enumerate(said["bundles"], start=1):
            newest = number == len(said["bundles"])
            yield host, state if newest else "an earlier one", str(bundle["path"]), str(bundle["sha256"])


def _kept(backup: Mapping[str, Any]) -> tuple[str, str, str]:
    if not backup.get("verified"):
        return f"NOT verified: {backup.get('reason')}", str(backup.get("repository", "")), str(backup.get("where", ""))
    return f"verified, as of {when(backup.get('at'))}", str(backup.get("repository")), str(backup.get("where"))


def _ways_back(host: str, service: str, backup: Mapping[str, Any]) -> list[str | Command]:
    """Return how a backup is put back, in sentences and commands."""
    # A server must run for its database to come back.
    stop = "what writes to it" if backup.get("kind") == "postgresql" else service
    ways: list[str | Command] = [
        f"To restore {backup.get('kind')} {backup.get('path')}: stop {stop}, then on {host}, as the user that backed it up"
        " (root, unless the inventory says otherwise):",
        Command(str(backup["restore"])),
    ]
    if backup.get("recreate"):
        told = "If the database itself is gone, or its roles are. Those that are there get the passwords of that time:"
        ways += [told, Command(str(backup["recreate"]))]
    return ways


def _communication(incident: Incident) -> Section:
    newest = {str(row.get("key")): row for row in incident.notified}
    rows = tuple((str(r["audience"]), str(r["about"]), str(r["state"]), when(r["at"])) for r in newest.values())
    tickets = tuple(f"Ticket ({t.get('tracker')}): {t.get('reference')}" for t in incident.tickets)
    told: str | Table = (
        Table(("Audience", "About", "State", "When"), rows) if rows else "Nobody is configured to be told."
    )
    return Section("Communication", (told, tickets) if tickets else (told,))


def _still_open(incident: Incident) -> Section:
    items = [f"{f.get('text')} (owner: {f.get('owner') or UNKNOWN})" for f in incident.follow_ups]
    why = f"; left so: {incident.left_contained}" if incident.left_contained else ""
    items += [f"still contained on {c['host']}: {c['capability']} {c['target']}{why}" for c in incident.contained]
    return Section("What is still open", (tuple(items),) if items else ("Nothing.",))


def _actions(incident: Incident, phase: str) -> tuple[str, ...]:
    return tuple(
        f"{row['host']}: {action.get('summary')}"
        for row in (incident.outcomes or {}).get(phase, ())
        for action in row.get("actions", ())
    )


def _rows(incident: Incident, phase: str, capability: str) -> Iterable[Mapping[str, Any]]:
    return [row for row in (incident.outcomes or {}).get(phase, ()) if row.get("capability") == capability]
