"""What Prometheus measured of the affected services around the onset: asked beside another look, and kept as evidence."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from incidentctl import monitoring, onset, series
from incidentctl.desk import Desk
from incidentctl.evidence_manifest import folder_of
from incidentctl.files import lasting_text, private_folder
from incidentctl.incident import Incident
from incidentctl.plan import Service
from incidentctl.series import ALERT, QUERY, TARGETS, Kept, Question, Span

AROUND_S = 30 * 60  # before the onset, and after the recovery
_LONGEST_S = 6 * 3600  # that are asked for as one; of what took longer its beginning and its end, half of that each
_QUESTIONS = 16  # to each server
_TARGETS = "targets_up"
_TEMPLATE = re.compile(r"\{[{%#]")


@contextlib.contextmanager
def asked(desk: Desk, began: datetime | None = None) -> Iterator[None]:
    """Ask while something else is looked at; then wait for what is left of the four seconds, and keep what was said.

    `began` is the onset, where the record does not have it yet. What cannot be had is noted, and holds nothing up.
    """
    incident, settings = desk.incident(), desk.settings.monitoring
    questions, notes = _questions(desk, incident)
    if not (settings.prometheus and questions):
        yield
        return
    spans = _spans(incident, began, datetime.now(UTC))
    answers = monitoring.over(settings, questions, spans)
    yield
    kept = [Kept(span, series.step(span), tuple(each)) for span, each in zip(spans, answers(), strict=True)]
    _keep(desk, kept, notes)


def _questions(desk: Desk, incident: Incident) -> tuple[list[Question], list[str]]:
    """Return what is asked of the affected services, or of all while none is known, and what is not, and why."""
    services = [service for service in desk.services() if service.name in incident.affected] or list(desk.services())
    found = [
        Question(QUERY, name, service, text)
        for name, query in desk.settings.monitoring.queries.items()
        for service, text in monitoring.for_each(query, [service.name for service in services])
    ]
    if names := {host for service in services for host in service.hosts}:
        names |= {desk.inventory.addresses.get(host, host) for host in names}
        found.append(Question(TARGETS, _TARGETS, "", _targets(names)))
    alerts = [alert for service in services for alert in _alerts(service)]
    templates = [alert for alert in alerts if _TEMPLATE.search(alert.query)]  # only Ansible knows what they come to
    found += [alert for alert in alerts if alert not in templates]
    notes = [f"{one.name} of {one.service} is a template: not asked" for one in templates]
    if len(found) > _QUESTIONS:
        notes.append(f"{len(found) - _QUESTIONS} more questions were not asked: {_QUESTIONS} are the most")
    return found[:_QUESTIONS], notes


def _targets(hosts: Iterable[str]) -> str:
    """Return the share of these hosts' targets that answer, by job. In a string of PromQL a backslash is two, as in JSON."""
    instances = "|".join(rf"\[{re.escape(host)}\]" if ":" in host else re.escape(host) for host in sorted(hosts))
    return f"avg by (job) (up{{instance=~{json.dumps(f'({instances})(:[0-9]+)?')}}})"


def _alerts(service: Service) -> Iterator[Question]:
    told = service.spec.get("alerts")
    for alert in told if isinstance(told, list) else ():
        if isinstance(alert, dict) and isinstance(alert.get("expr"), str):
            yield Question(ALERT, str(alert.get("name")), service.name, alert["expr"])


def _spans(incident: Incident, began: datetime | None, now: datetime) -> list[Span]:
    """From half an hour before the onset (without one, the declaration) until now, but no longer than that after the recovery.

    Of what is too long to be seen in as many points as are asked for, the two ends.
    """
    kept = onset.kept(incident.onset)
    start = began or onset.moment((kept.at if kept else None) or incident.declared_at) or now
    verified = incident.verified or {}
    well = onset.moment(verified.get("at")) if verified.get("recovered") else None
    until = now.timestamp() if well is None else min(now.timestamp(), well.timestamp() + AROUND_S)
    since = min(start.timestamp(), until) - AROUND_S
    if until - since <= _LONGEST_S:
        return [(since, until)]
    return [(since, since + _LONGEST_S / 2), (until - _LONGEST_S / 2, until)]


def _keep(desk: Desk, kept: Sequence[Kept], notes: list[str]) -> None:
    """Write what was measured into files of the evidence, and record of each its SHA-256 and where it is from."""
    answers = [answer for one in kept for answer in one.answers]
    problems = dict.fromkeys([*notes, *(f"{a.server}{a.problem}" for a in answers if a.problem)])
    rows: list[dict[str, Any]] = []
    for one in kept:
        if not all(answer.problem for answer in one.answers):
            try:
                rows.append(_written(desk, one))
            except OSError as error:  # nothing that helps the site waits for it
                problems[f"what was measured could not be kept: {error}"] = None
    for row in rows or [{}]:
        desk.note("evidence_collected", measured={**row, "problems": list(problems)})


def _written(desk: Desk, kept: Kept) -> dict[str, Any]:
    now = datetime.now(UTC)
    text = series.as_text(kept, desk.incident_id, now.isoformat(timespec="milliseconds"))
    path = private_folder(folder_of(desk.folder)) / f"prometheus-{now:%Y%m%dT%H%M%S.%f}Z.json"
    lasting_text(path, text)
    since, until = (datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds") for at in kept.span)
    raw = text.encode()
    return {
        "file": path.name,
        "sha256": hashlib.sha256(raw).hexdigest(),
        "bytes": len(raw),
        "from": since,
        "to": until,
        "step_s": kept.step,
        "servers": list(dict.fromkeys(answer.server for answer in kept.answers if not answer.problem)),
        "queries": list(dict.fromkeys(answer.question.query for answer in kept.answers if not answer.problem)),
    }
