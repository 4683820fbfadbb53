"""One JSON request to a tracker. No redirect is followed: it could lead the token, or the ticket, anywhere."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any

from incidentctl.errors import IncidentctlError
from incidentctl.patience import within

TIMEOUT_S = 10.0  # for all of it, name and a dripping answer included
_ANSWER_BYTES = 8 * 1024 * 1024


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


@dataclass(frozen=True)
class Answer:
    """What came back; `data` is None where it was no JSON."""

    status: int
    headers: Message
    data: Any


def ask(method: str, url: str, headers: Mapping[str, str], document: Any = None) -> Answer:
    """Send a request, with a document as JSON, and return the answer, whatever its status.

    Raise IncidentctlError if there was none in time, never with the address or a header in it: they may be secrets.
    """
    try:
        return within(TIMEOUT_S, lambda: _ask(method, url, headers, document))
    except TimeoutError as error:
        raise IncidentctlError("The tracker does not answer.", f"no complete answer within {TIMEOUT_S:g} s") from error


def _ask(method: str, url: str, headers: Mapping[str, str], document: Any) -> Answer:
    content = None if document is None else json.dumps(document).encode()
    kind = {} if content is None else {"Content-Type": "application/json"}
    try:
        request = urllib.request.Request(url, content, {**kind, **headers}, method=method)  # noqa: S310 - checked below
        if request.type not in ("http", "https"):
            raise ValueError("it is not an http or https address")
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT_S) as answer:
                return Answer(answer.status, answer.headers, _data(answer.read(_ANSWER_BYTES)))
        except urllib.error.HTTPError as refusal:
            with refusal:
                return Answer(refusal.code, refusal.headers, _data(refusal.read(_ANSWER_BYTES)))
    except (OSError, ValueError, http.client.HTTPException) as error:
        # What was sent may stand in the text of any of them but those of the network.
        why = str(getattr(error, "reason", error)) if isinstance(error, OSError) else type(error).__name__
        raise IncidentctlError("The tracker does not answer.", why) from error


def _data(content: bytes) -> Any:
    try:
        return json.loads(content or b"{}")
    except (ValueError, RecursionError):
        return None
