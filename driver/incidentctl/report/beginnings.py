"""When it began and what changed before, for the report: from what the record keeps of the newest diagnosis. Pure."""

from __future__ import annotations

from incidentctl import changes, history
from incidentctl.changes import Row
from incidentctl.history import History
from incidentctl.incident import Incident
from incidentctl.report.blocks import UNKNOWN, Block, Table
from incidentctl.times import moment, when

_CHANGES, _NOTES = 50, 20  # that are listed


def blocks(incident: Incident) -> tuple[Block, ...]:
    """Return the onset with its source, the table of changes, and what of them could not be seen."""
    told = history.of(incident)
    began = f"Onset: {when(told.onset.at)}, {told.onset.source}." if told.onset else "When it began is unknown."
    found: list[Block] = [began, _table(told) if told.changes else "No change was seen."]
    if len(told.changes) > _CHANGES:
        found.append(f"{len(told.changes) - _CHANGES} more changes are in the record.")
    if told.notes:
        found.append(told.notes[:_NOTES])
    return tuple(found)


def onset(incident: Incident) -> str:
    """Return when it began, in one line; `unknown` where nobody tells it."""
    told = history.of(incident).onset
    return f"{when(told.at)}: {told.source}" if told else UNKNOWN


def _table(told: History) -> Table:
    header = ("When (UTC)", "Before the onset", "Kind", "Hosts", "What", "Detail")
    return Table(header, tuple(_cells(row) for row in told.changes[:_CHANGES]))


def _cells(row: Row) -> tuple[str, ...]:
    before = row.seconds_before
    gap = UNKNOWN if before is None else changes.span(before) if before >= 0 else f"{changes.span(-before)} after"
    began, ended = moment(row.first), moment(row.last)
    at = began if began == ended else f"{began} to {ended}"
    return at, gap, row.kind, ", ".join(row.hosts), row.text, row.detail
