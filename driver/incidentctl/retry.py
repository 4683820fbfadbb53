"""What was left to be done, for who goes on: of an incident the record knows it, of a `play` by hand a small file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from incidentctl.files import private_folder, private_text
from incidentctl.incident import Event, Incident
from incidentctl.outcome import SUCCESS, HostOutcome
from incidentctl.plan import LIFTABLE


@dataclass(frozen=True)
class Left:
    """The hosts on which a playbook went wrong, for which services, in which phase (its own name by hand), which inventory."""

    hosts: tuple[str, ...]
    services: tuple[str, ...]
    phase: str
    inventory: tuple[str, ...] = ()


def by_hand(state_dir: Path, name: str) -> Left | None:
    """Return what the last play of that name that went wrong left; None if none did, or all was done since."""
    try:
        kept = json.loads(_file(state_dir, name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    lists = {key: tuple(kept[key]) for key in ("hosts", "services", "inventory")}
    return Left(phase=name, **lists)


def keep(state_dir: Path, left: Left, rows: Sequence[HostOutcome]) -> None:
    """Keep where a play went wrong, for the next one with `--retry`; forget it once nothing is left.

    `left` says what was played, on which hosts. What an earlier play of the same services left on others stays.
    """
    earlier = by_hand(state_dir, left.phase)
    same = earlier is not None and earlier.services == left.services
    others = [host for host in earlier.hosts if host not in left.hosts] if earlier is not None and same else []
    wrong = tuple(dict.fromkeys([*others, *_wrong(rows)]))
    if wrong:
        private_folder(state_dir / "plays")
        kept = asdict(Left(wrong, left.services, left.phase, left.inventory))
        private_text(_file(state_dir, left.phase), json.dumps(kept, indent=1) + "\n")
    elif same:
        _file(state_dir, left.phase).unlink(missing_ok=True)


def of_incident(incident: Incident, events: Iterable[Event], name: str) -> Left | None:
    """Return what an incident's containment, or a play within it, left of a playbook; None if nothing."""
    begun = None
    for event in events:
        if event.kind == "reopened":
            begun = None
        elif event.kind == "step_started" and event.data.get("phase") in ("contain", name):
            begun = event.data if name in event.data.get("capabilities", ()) else begun
    if begun is None:
        return None
    phase = str(begun["phase"])
    rows = [row for row in incident.outcomes.get(phase, ()) if row["capability"] == name]
    wrong = tuple(row["host"] for row in rows if row["outcome"] not in SUCCESS)
    return Left(wrong, tuple(begun.get("services", {}).get(name, ())), phase) if wrong else None


def settled(events: Iterable[Event], phase: str) -> set[str]:
    """Return the hosts on which a phase went well since the last decision, and nothing was begun since that it takes back.

    Only runs of it count that came to their end: of one that was cut off, a task may be missing.
    """
    done: set[str] = set()
    rows: dict[str, list[str]] = {}
    for event in events:
        data = event.data
        if event.kind in ("decided", "reopened"):
            done.clear()
        elif event.kind == "step_started" and data.get("phase") == phase:
            rows = {}
        elif event.kind == "step_started" and LIFTABLE.intersection(data.get("capabilities", ())):
            done -= set(data.get("hosts", ()))
        elif event.kind == "containment_applied":
            done.discard(str(data.get("host")))
        elif event.kind == "host_outcome" and data.get("phase") == phase:
            rows.setdefault(str(data.get("host")), []).append(str(data.get("outcome")))
        elif event.kind == "step_finished" and data.get("phase") == phase:
            done |= {host for host, outcomes in rows.items() if SUCCESS.issuperset(outcomes)}
    return done


def unclear(events: Iterable[Event], phase: str) -> set[str]:
    """Return the hosts of which the last that is known of a phase, since the last decision, is that it may go on there."""
    last: dict[str, str] = {}
    for event in events:
        if event.kind in ("decided", "reopened"):
            last.clear()
        elif event.kind == "host_outcome" and event.data.get("phase") == phase:
            last[str(event.data.get("host"))] = str(event.data.get("outcome"))
    return {host for host, outcome in last.items() if outcome == "unknown"}


def begun(events: Iterable[Event], phase: str) -> bool:
    """Say whether a phase was begun since the last decision: what it was to do may be done already, or half."""
    found = False
    for event in events:
        if event.kind in ("decided", "reopened"):
            found = False
        elif event.kind == "step_started" and event.data.get("phase") == phase:
            found = True
    return found


def _wrong(rows: Iterable[HostOutcome]) -> list[str]:
    return [row.host for row in rows if row.outcome not in SUCCESS]


def _file(state_dir: Path, name: str) -> Path:
    return state_dir / "plays" / f"{name}.json"
