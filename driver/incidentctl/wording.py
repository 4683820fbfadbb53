"""What is printed as data where a person asks for words: status, plan, readiness. Pure, and without colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from incidentctl import approval, evidence_check, evidence_copy, ledgers, notify
from incidentctl.evidence_check import Checked
from incidentctl.guards import Refusal
from incidentctl.incident import ENDED, Data, Incident
from incidentctl.redaction import for_people
from incidentctl.report import held_back
from incidentctl.standing import Standing, standing
from incidentctl.text import readable as plain
from incidentctl.times import when

_LONG = 2000  # characters of a line
_BY = {"decision": "asked by", "phase": "begun by", "recovery": "decided by", "approval": "decided by"}


def status(incident: Incident) -> str:
    """Return where an incident stands and how to go on, in words, without secrets."""
    incident = for_people(incident)
    lines = [
        f"{incident.incident_id}  {incident.severity}  {incident.status}",
        f"  {plain(incident.title)}",
        f"  declared {when(incident.declared_at)} by {incident.declared_by}",
        f"  affected: {', '.join(incident.affected) or 'not known yet'}; hosts: {', '.join(incident.hosts)}",
    ]
    for phase in incident.phases:
        seconds = "" if phase.seconds is None else f"{phase.seconds:6.1f} s"
        lines.append(f"  {phase.name:<9} {phase.state:<11} {(phase.outcome or '').replace('_', ' '):<13} {seconds}")
    if incident.verified and incident.verified.get("told"):
        lines.append(f"  verified: {plain(incident.verified['told'], 1000)}")
    stands = standing(incident)
    for option in incident.options if stands.waits_for == "decision" else ():
        lines.append(f"  {option['letter']} {option['key']}: {_how(option)}")
        lines += _plan_of(incident, option["key"]) if option["feasible"] else []
    lines += _plan_of(incident, str((incident.decision or {}).get("option"))) if stands.waits_for == "approval" else []
    lines += _contained(incident)
    for row in notify.pending(incident):
        lines.append(f"  not told yet: {row['audience']} about {row['about']}: {row.get('detail') or 'on its way'}")
    if incident.holder:
        held = incident.holder
        lines.append(
            f"  held by {held.get('actor')}: process {held.get('pid')} on {held.get('host')}, since {when(held['at'])}"
        )
    lines += [f"Waits for {_waits(stands)}", f"Next: {'; or '.join(stands.next)}"]
    return "\n".join(plain(line, _LONG) for line in lines)  # targets and paths are what hosts say


def _contained(incident: Incident) -> list[str]:
    """What is contained, with how much it held back when a host was last asked."""
    counted, lines = held_back.standing(incident), []
    for row in incident.contained:
        lines.append(f"  contained on {row['host']}: {row['capability']} {row['target']}{ledgers.damage(row)}")
        if found := counted.get((str(row["host"]), str(row["entry"]))):
            since = f" since {when(found['since'])}" if found.get("since") else ""
            lines.append(f"    {held_back.told(found)}{since}, as last looked at")
    return lines


def _how(option: Data) -> str:
    if not option["feasible"]:
        return f"not possible: {plain(option['why_not'])}"
    sure = "" if option.get("confidence") is None else f", {option['confidence']} % sure"
    return f"{plain(option['title'])}{sure}{', recommended' if option.get('recommended') else ''}"


def _plan_of(incident: Incident, key: str) -> list[str]:
    """What an option would do on the hosts, as it was looked at before the question."""
    found = incident.plans.get(key)
    return (
        [f"    plan {approval.short(found)}", *(f"      {plain(text)}" for text in approval.lines(found))]
        if found
        else []
    )


def short_status(incident: Incident) -> str:
    """Return where an incident stands on one line."""
    return f"{incident.incident_id}  {incident.severity}  {incident.status}: waits for {_waits(standing(incident))}"


def listed(incidents: Sequence[Incident]) -> str:
    """Return incidents in words: what each is, and what it waits for."""
    return "\n".join(_listed(for_people(one)) for one in incidents) or "No incident is open."


def _listed(incident: Incident) -> str:
    what = f"{incident.incident_id}  {incident.severity:<8}  {incident.status:<13}  {plain(incident.title)}"
    return what if incident.status in ENDED else f"{what}\n  waits for {_waits(standing(incident))}"


def listed_data(incidents: Sequence[Incident]) -> list[Data]:
    """Return the same as data."""
    facts = ("incident_id", "severity", "status", "title", "declared_at", "declared_by", "affected", "hosts", "drill")
    return [{**{key: getattr(one, key) for key in facts}, "waiting": asdict(standing(one))} for one in incidents]


def _waits(stands: Standing) -> str:
    since = f", since {when(stands.since)}" if stands.since else ""
    return plain(
        f"{stands.told}{since}" + (f", {_BY[stands.waits_for]} {stands.by}" if stands.waits_for in _BY else "")
    )


def evidence(incident_id: str, folder: Path, checked: Sequence[Checked]) -> str:
    """Return what became of each bundle of an incident, a line each: what is wrong (✗) first."""
    signs = {"whole": "✓", "none": "–", "unfinished": "–", "unread": "?"}
    rows = sorted(checked, key=lambda row: (row.verdict in evidence_check.WELL, row.host, row.file))
    width = max((len(row.host) for row in rows), default=0)
    lines = [
        f"{signs.get(row.verdict, '✗')} {row.verdict:<10} {row.host:<{width}}  {plain(row.file or '-')}: "
        + plain(row.detail, 1000)
        for row in rows
    ]
    return "\n".join([f"{incident_id}: evidence in {folder}", *lines])


def evidence_copied(incident_id: str, folder: Path, made: Sequence[evidence_copy.Bundle]) -> str:
    """Return what became of each bundle in the copy of an incident's evidence, and what was left out or taken out."""
    lines = []
    for bundle in made:
        copied = [part for part in bundle.parts if part.file]
        secrets = sum(sum(part.redactions.values()) for part in copied)
        lines.append(f"✓ {bundle.host or 'Prometheus'}  {plain(bundle.path)}: {len(copied)} parts, {secrets} redacted")
        lines += [f"  – {plain(part.name)}: left out: {plain(part.left_out)}" for part in bundle.parts if not part.file]
    rules = ", ".join(f"{rule} {count}" for rule, count in evidence_copy.redactions(made).items())
    told = f"Redacted: {rules or 'nothing was found'}. What no rule knows is still there: look before you hand it on."
    return "\n".join([f"{incident_id}: copy in {folder}", *lines, told])


def plan(plan: Any, refusals: Sequence[Refusal] = (), seen: Data | None = None) -> str:
    """Return a plan in words: each phase, what it does, to which service, on which hosts; and what guards say to it.

    `seen` is what the hosts said that the containment would do there, as preview.look returns it.
    """
    lines = [f"{plan.severity}  (plan {plan.hash[:12]})"]
    width = max((len(name) for step in plan.steps for name in step.capabilities), default=0)
    for step in plan.steps:
        lines.append(f"  {step.phase}")
        for capability in step.capabilities:
            meant: dict[str, list[str]] = {}
            for host, what, service in step.targets:
                if what == capability:
                    meant.setdefault(service, []).append(host)
            told = "; ".join(f"{service} on {', '.join(hosts)}" for service, hosts in meant.items())
            lines.append(f"    {capability:<{width}}  {told or 'nothing in this scope'}")
    lines.append("  then a person decides")
    if seen is not None:
        lines.append(f"  contain, as the hosts are now (check {seen['hash'][:12]}):")
        lines += [
            f"    {plain(text, 1000)}" for text in (*approval.lines(seen), *seen["besides"], *seen["skipped"])
        ] or ["    nothing"]
    for refusal in refusals:
        lines.append(plain(f"  Refused by the guard {refusal.guard}: {refusal.told}.", _LONG))
    if refusals:
        overrides = " ".join(refusal.override for refusal in refusals)
        lines.append(f"  Fix: narrow it with --limit or --service; or, if just that is meant: {overrides}")
    return "\n".join(lines)


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
