"""What must hold of the record of an incident that is cut off: after each cut, and in the end. `state` is its state_dir."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from incidentctl.incident import Event, fold, interrupted
from incidentctl.record import Record, open_record


def opened(state: Path) -> Record:
    """Return the record in a state_dir."""
    return open_record(f"sqlite:///{state}/record.db")


def events(state: Path) -> list[Event]:
    """Return the events of the one incident in a state_dir; none if none is declared."""
    with opened(state) as record:
        known = record.incidents()
        return record.events(known[0]) if known else []


def over(state: Path) -> bool:
    """Say whether the incident is closed and let go of: then there is nothing to go on with."""
    rows = events(state)
    return bool(rows) and fold(rows).status == "closed" and rows[-1].kind == "unlocked"


def under_way(rows: list[Event]) -> str | None:
    """Return the phase that was begun last, if nothing says that it was finished."""
    steps = [event for event in rows if event.kind in ("step_started", "step_finished")]
    return str(steps[-1].data["phase"]) if steps and steps[-1].kind == "step_started" else None


def after_a_cut(state: Path) -> list[str]:
    """Return what is wrong with the record of an incident that was just cut off."""
    with opened(state) as record:
        known = record.incidents()
        if not known:
            return []
        incident, rows = record.incident(known[0]), record.events(known[0])
        whole = record.verify(known[0]) is None
    begun, stands = under_way(rows), interrupted(incident)
    checks = {
        "the chain of the record is broken": whole,
        "a process that is gone holds it": incident.holder is None,
        f"{begun} was under way, and {stands} stands as interrupted": begun == (stands.name if stands else None),
    }
    return [what for what, well in checks.items() if not well]


def at_the_end(state: Path) -> list[str]:
    """Return what is wrong with the record and the folder of an incident that was taken to its end."""
    rows = events(state)
    incident, kinds = fold(rows), Counter(event.kind for event in rows)
    folder = state / "incidents" / incident.incident_id
    wrong = [f"{kinds[kind]} times {kind}" for kind in ("declared", "resolved", "closed") if kinds[kind] != 1]
    checks = {
        f"status {incident.status}": incident.status == "closed",
        "still contained": not incident.contained,
        "a follow-up stands there twice": len({row["text"] for row in incident.follow_ups}) == len(incident.follow_ups),
        "no report": (folder / "report.md").exists(),
        "a private folder was left behind": not list(folder.glob("run-*")),
    }
    return wrong + [what for what, well in checks.items() if not well] + after_a_cut(state)
