"""The root-cause candidates of a report: the causes as they were weighed, and the errors. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from incidentctl import clocks, event_data, findings
from incidentctl.incident import Incident
from incidentctl.report.blocks import UNKNOWN, Block, Table

_CAUSES, _PATTERNS = 6, 20  # that are listed


def blocks(incident: Incident) -> tuple[Block, ...]:
    """Return what the newest diagnosis found: causes with what speaks for and against each, impact, and errors."""
    rows = [row for row in (incident.outcomes or {}).get("diagnose", ()) if row.get("capability") == "diagnosis"]
    first = "Candidates from the facts, likeliest first. The cause is for the post-mortem to establish."
    told: list[Block] = [first, *(_judged(incident.judged) if incident.judged else [_found(rows)])]
    if patterns := _patterns(rows):
        told.append(Table(("Service", "Count", "First seen", "Error", "Hosts"), patterns))
    return tuple(told)


def _judged(judged: Mapping[str, Any]) -> list[Block]:
    causes = tuple(
        (
            str(cause.get("score")),
            str(cause.get("title")),
            ", ".join(event_data.texts(cause.get("hosts"))),
            "; ".join(event_data.texts(cause.get("supports"))),
            "; ".join(event_data.texts(cause.get("against"))),
        )
        for cause in event_data.rows(judged.get("causes"))[:_CAUSES]
    )
    suggested = judged.get("suggested")
    suggested = suggested if isinstance(suggested, Mapping) else {}
    is_well = judged.get("all_well")
    none = [f"{is_well['told']}.", (*is_well["noted"], *is_well["next"])] if is_well else ["Nothing was found."]
    return [
        *([Table(("Score", "Cause", "Hosts", "For it", "Against it"), causes)] if causes else none),
        f"Suggested severity: {suggested.get('severity', UNKNOWN)}: {suggested.get('rule', UNKNOWN)}.",
    ]


def _found(rows: Sequence[Mapping[str, Any]]) -> Block:
    """A record of a version that did not weigh causes."""
    ranked = findings.ranked((row["host"], one) for row in rows for one in row.get("facts", {}).get("findings", ()))
    return tuple(f"{severity}: {text} ({', '.join(hosts)})" for severity, text, hosts in ranked) or "Nothing was found."


def _patterns(rows: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, ...], ...]:
    skew = clocks.wrong({str(row["host"]): row.get("facts", {}) for row in rows})
    found = findings.patterns(
        (row["host"], name, {**error, "first_seen": clocks.moved(error.get("first_seen"), skew.get(row["host"], 0.0))})
        for row in rows
        for name, facts in row.get("facts", {}).get("services", {}).items()
        for error in facts.get("errors", ())
    )
    return tuple(
        (
            p.service,
            str(p.count),
            str(p.first_seen or UNKNOWN),
            f"{'new: ' if p.new else ''}{p.sample}",
            ", ".join(p.hosts),
        )
        for p in found[:_PATTERNS]
    )
