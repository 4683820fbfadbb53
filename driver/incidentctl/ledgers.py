"""What the hosts' ledgers answered: into the record, in words, and which of their entries a person means."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from incidentctl.desk import Desk
from incidentctl.errors import Partial, UsageError
from incidentctl.incident import Incident
from incidentctl.outcome import HostOutcome, Outcome
from incidentctl.text import nearest

Row = Mapping[str, Any]
_UNREADABLE = "an entry that cannot be read"
_AWAY = "see what it was, take that back by hand, then move the file out of its folder"


def answered(row: HostOutcome) -> bool:
    """Say whether a host's ledger was read, whatever came of the lift."""
    return "open" in row.facts


def open_rows(outcome: Outcome) -> list[dict[str, Any]]:
    """Return all that the hosts have open: host, entry, capability, target, and for a damaged one its path."""
    rows = []
    for row in filter(answered, outcome.rows):
        entries = [entry for entry in row.facts.get("entries", ()) if entry["entry"] in row.facts["open"]]
        damaged = row.facts.get("damaged", ())
        rows += [{"host": row.host, **entry} for entry in entries]
        rows += [{"host": row.host, **_unread(one["entry"]), "damaged": one["path"]} for one in damaged]
    return rows


def record(desk: Desk, outcome: Outcome) -> None:
    """Record what the hosts' ledgers say otherwise than the record: what is open, damaged, lifted."""
    known = {(row["host"], row["entry"]): row for row in desk.incident().contained}
    there = open_rows(outcome)
    for row in there:
        before = known.get((row["host"], row["entry"]))
        if before is None:
            desk.note("containment_applied", summary="found in the host's ledger", **row)
        elif before.get("damaged") != row.get("damaged"):  # the record knows more of it than can be read now
            desk.note("containment_applied", **{**before, "damaged": row.get("damaged")})
    standing = {(row["host"], row["entry"]) for row in there}
    for host in filter(answered, outcome.rows):
        for (name, entry), contained in known.items():
            # A damaged one that is gone was seen to by a person: they were told to.
            seen_to = contained.get("damaged") and (name, entry) not in standing
            if name == host.host and (entry in host.facts.get("lifted", ()) or seen_to):
                figures = {k: host.facts.get(k, {}).get(contained["entry"]) for k in ("held_back", "counted")}
                named = {k: contained[k] for k in ("host", "capability", "entry", "target")}
                desk.note("containment_lifted", **named, **{key: value for key, value in figures.items() if value})


def held_by_others(incident: Incident, phase: str = "lift") -> dict[tuple[str, str], str]:
    """Return by (host, service) which other incident still holds what the lift was to give back."""
    rows = incident.outcomes.get(phase, ())
    return {(row["host"], name): whose for row in rows for name, whose in row["facts"].get("held", {}).items()}


def told(row: Row) -> str:
    """Return one open entry in words: where, its name, what it is, and what is wrong with it."""
    return f"{row['host']}: {row['entry']} ({row['capability']} of {row['target']}){damage(row)}"


def damage(row: Row) -> str:
    """Return what to add about an entry that cannot be read: where it is, and what to do; mostly nothing."""
    return f": its entry {row['damaged']} cannot be read; {_AWAY}" if row.get("damaged") else ""


def silent(outcome: Outcome) -> list[str]:
    """Return the hosts whose ledger was not read, each with why."""
    return [f"{row.host}: {row.outcome}: {row.reason}" for row in outcome.rows if not answered(row)]


def named(
    words: Iterable[str], rows: Sequence[Row], over: Iterable[Row] = (), silent: Sequence[str] = ()
) -> dict[str, tuple[str, ...]]:
    """Given what a person typed, return for each word the hosts where such an entry is open.

    A word is an entry's name, or CAPABILITY/TARGET. One that was lifted already (`over`) is left out. Raise UsageError,
    naming what is open, for any other; Partial if it may be on one of the `silent` hosts.
    """
    known = {name for row in rows for name in _names(row)}
    lifted = {name for row in over for name in _names(row)} - known
    wanted = dict.fromkeys(words)
    if unknown := [word for word in wanted if word not in known | lifted]:
        none, near = f"{', '.join(map(repr, unknown))}: no such entry is open", nearest(unknown[0], known)
        there = ["Open:", *map(told, rows)] if rows else ["Nothing is open."]
        fix = "name an entry as it stands here, or CAPABILITY/TARGET"
        if silent:
            why = "\n".join([*there, "Did not say what is open there:", *silent])
            raise Partial(
                f"{none} on the hosts that answered{near}.",
                why,
                f"see to those that did not, then the same again; or {fix}",
            )
        raise UsageError(f"{none}{near}.", "\n".join(there), fix)
    found = {word: tuple(dict.fromkeys(row["host"] for row in rows if word in _names(row))) for word in wanted}
    return {word: hosts for word, hosts in found.items() if hosts}


def command(incident_id: str, words: Iterable[str] = ()) -> str:
    """Return the command that takes back what these words name, or all of an incident."""
    return shlex.join(["incidentctl", "lift", incident_id, *(part for word in words for part in ("--only", word))])


def _names(row: Row) -> tuple[str, str]:
    return str(row["entry"]), f"{row['capability']}/{row['target']}"


def _unread(entry: str) -> dict[str, str]:
    return {"entry": entry, "capability": _UNREADABLE, "target": entry}
