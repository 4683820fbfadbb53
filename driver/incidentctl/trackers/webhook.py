"""Any tracker that takes a JSON document by POST and answers with one."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

from incidentctl.errors import IncidentctlError
from incidentctl.incident import Incident
from incidentctl.settings import Tracker, resolve_secret
from incidentctl.trackers.ticket import document

_TIMEOUT_S = 10.0
_ANSWER_BYTES = 64 * 1024


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could lead the ticket, and the address that is a secret, anywhere."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


def open_ticket(tracker: Tracker, incident: Incident) -> str:
    """Post the incident; return the `url`, `key` or `id` of the answer.

    Every try carries the incident's id as Idempotency-Key, so that a tracker that honours it opens one ticket. Raise
    IncidentctlError (never with the address in it: it is a secret) if the ticket was not accepted.
    """
    assert tracker.url is not None  # noqa: S101 - settings hold it to this
    headers = {"Content-Type": "application/json", "Idempotency-Key": incident.incident_id}
    try:
        request = urllib.request.Request(resolve_secret(tracker.url), json.dumps(document(incident)).encode(), headers)  # noqa: S310 - checked below
        if request.type not in ("http", "https"):
            raise ValueError("it is not an http or https address")
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=_TIMEOUT_S) as answer:
            found = json.loads(answer.read(_ANSWER_BYTES) or b"{}")
    except urllib.error.HTTPError as refusal:
        refusal.close()
        raise IncidentctlError(f"The tracker answered {refusal.code}: no ticket was opened.") from refusal
    except (OSError, ValueError, http.client.HTTPException) as error:
        why = type(error).__name__ if isinstance(error, ValueError) else str(getattr(error, "reason", error))
        raise IncidentctlError("The tracker did not take the ticket.", why) from error
    told = found if isinstance(found, dict) else {}
    return str(next((told[key] for key in ("url", "key", "id") if told.get(key)), "accepted"))
