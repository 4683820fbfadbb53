"""Any tracker that takes a JSON document by POST and answers with one."""

from __future__ import annotations

from incidentctl.errors import IncidentctlError
from incidentctl.incident import Incident
from incidentctl.settings import Tracker, resolve_secret
from incidentctl.trackers import http
from incidentctl.trackers.ticket import document


def open_ticket(tracker: Tracker, incident: Incident) -> str:
    """Post the incident; return the `url`, `key` or `id` of the answer.

    Every try carries the incident's id as Idempotency-Key, so that a tracker that honours it opens one ticket. Raise
    IncidentctlError (never with the address in it: it is a secret) if the ticket was not accepted.
    """
    assert tracker.url is not None  # noqa: S101 - settings hold it to this
    headers = {"Idempotency-Key": incident.incident_id}
    answer = http.ask("POST", resolve_secret(tracker.url), headers, document(incident))
    if not 200 <= answer.status < 300:
        raise IncidentctlError(f"The tracker answered {answer.status}: no ticket was opened.")
    if answer.data is None:
        raise IncidentctlError("The tracker did not answer with JSON: is it really there?")
    told = answer.data if isinstance(answer.data, dict) else {}
    return str(next((told[key] for key in ("url", "key", "id") if told.get(key)), "accepted"))
