"""What is printed as data where a person asks for words: status, plan, readiness. Pure, and without colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from incidentctl.incident import ENDED, Incident
from incidentctl.text import plain


def status(incident: Incident) -> str:
    """Return where an incident stands and how to go on, in words."""
    lines = [
        f"{incident.incident_id}  {incident.severity}  {incident.status}",
        f"  {plain(incident.title)}",
        f"  declared {incident.declared_at} by {incident.declared_by}",
        f"  affected: {', '.join(incident.affected) or 'not known yet'}; hosts: {', '.join(incident.hosts)}",
    ]
    for phase in incident.phases:
        seconds = "" if phase.seconds is None else f"{phase.seconds:6.1f} s"
        lines.append(f"  {phase.name:<9} {phase.state:<11} {(phase.outcome or '').replace('_', ' '):<13} {seconds}")
    if incident.question is not None:
        lines += [
            f"  {o['letter']} {o['key']}: "
            + (plain(o["title"]) if o["feasible"] else f"not possible: {plain(o['why_not'])}")
            for o in incident.options
        ]
    lines += [f"  contained on {c['host']}: {c['capability']} {c['target']}" for c in incident.contained]
    if incident.holder:
        lines.append(f"  driven by {incident.holder.get('actor')}, process {incident.holder.get('pid')}")
    return "\n".join([*lines, f"Next: {_next(incident)}"])


def plan(plan: Any) -> str:
    """Return a plan in words: each phase, what it does, to which service, on which hosts."""
    lines = [f"{plan.severity}  (plan {plan.hash[:12]})"]
    for step in plan.steps:
        lines.append(f"  {step.phase}")
        for capability in step.capabilities:
            meant: dict[str, list[str]] = {}
            for host, what, service in step.targets:
                if what == capability:
                    meant.setdefault(service, []).append(host)
            told = "; ".join(f"{service} on {', '.join(hosts)}" for service, hosts in meant.items())
            lines.append(f"    {capability:<18} {told or 'nothing in this scope'}")
    return "\n".join([*lines, "  then a person decides"])


def readiness(found: Sequence[Any]) -> str:
    """Return what doctor found, a line each: first what must be mended (✗), then what should be (!)."""
    signs: dict[str, list[Any]] = {"✗": [], "!": [], "✓": []}
    for row in found:
        signs["✗" if not row.ok else "!" if row.warning else "✓"].append(row)
    return "\n".join(
        f"{sign} {row.what:<24} {plain(row.told)}" + (f"\n  Fix: {row.fix}" if row.fix else "")
        for sign, rows in signs.items()
        for row in rows
    )


def _next(incident: Incident) -> str:
    """How to go on: the command that fits where the incident stands."""
    number = incident.incident_id
    if incident.status in ENDED:
        return f"nothing; incidentctl report {number}"
    if incident.holder:
        return f"it is being driven; incidentctl timeline {number}"
    if incident.question is not None:
        keys = [str(o["key"]) for o in incident.options if o["feasible"]]
        return f"a decision is awaited: incidentctl decide {number} {'|'.join(keys) or 'OPTION'}"
    return f"incidentctl resume {number}"
