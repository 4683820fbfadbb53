"""Issues on GitHub, or on a GitHub Enterprise Server: one an incident, and a comment for each turn that it takes.

Version 2022-11-28 of GitHub's REST API, by its documentation. A request whose answer was lost may have been carried out:
each issue and each comment carries a mark, which is looked for before another is made. What people typed stands in code
blocks, where it links, mentions and formats nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from incidentctl.errors import IncidentctlError
from incidentctl.incident import Incident
from incidentctl.settings import Tracker, resolve_secret
from incidentctl.text import plain
from incidentctl.times import when
from incidentctl.trackers import http
from incidentctl.trackers.ticket import NotNow

_TITLE = 200  # characters; GitHub takes 256
_LINE = 1000
_PAGE = 100  # the most that GitHub gives at once
_PAGES = 20
_CLOCKS = timedelta(hours=1)  # by so much GitHub's clock and ours may differ
_LIMITED = timedelta(minutes=1)  # GitHub's own words, where it does not say how long
_REFUSED = timedelta(minutes=15)  # what only a person can mend is not asked for every minute
_LONGEST = timedelta(days=1)


def open_ticket(tracker: Tracker, incident: Incident) -> dict[str, Any]:
    """Open the incident's issue, unless it is there, and return {reference: its address, number}.

    Raise NotNow, or another IncidentctlError, if GitHub did not take it; never with the token in it.
    """
    mark = f"<!-- incidentctl: {incident.incident_id} -->"
    found = next((issue for issue in _issues(tracker, incident) if _carries(issue, mark)), None)
    if found is None:
        lines = (
            f"Incident: {incident.incident_id}",
            f"Severity: {incident.severity}",
            f"Status: {incident.status}",
            f"What: {incident.title}",
            f"Declared: {when(incident.declared_at)} by {incident.declared_by}",
            f"Services: {', '.join(incident.services)}",
            f"Next: incidentctl status {incident.incident_id}",
        )
        found = _ask(
            tracker,
            "POST",
            "issues",
            {
                "title": plain(f"[{incident.severity}] {incident.incident_id}: {incident.title}", _TITLE),
                "body": f"{_verbatim(lines)}\n\n{mark}",
                "labels": list(tracker.labels),
            },
        )
    number = found.get("number") if isinstance(found, dict) else None
    if not isinstance(number, int):
        raise _odd(tracker)
    return {"reference": str(found.get("html_url") or f"{tracker.repository}#{number}"), "number": number}


def comment(tracker: Tracker, incident: Incident, number: int, key: str, text: str) -> None:
    """Add a comment to issue `number`, unless one with this key is there. Raise as `open_ticket` does."""
    mark = f"<!-- incidentctl: {key} -->"
    there = _pages(tracker, f"issues/{number}/comments", since=_since(incident))
    if not any(_carries(entry, mark) for entry in there):
        _ask(tracker, "POST", f"issues/{number}/comments", {"body": f"{_verbatim(text.splitlines())}\n\n{mark}"})


def _issues(tracker: Tracker, incident: Incident) -> Iterator[dict[str, Any]]:
    """Yield the issues that changed since the incident, closed ones too. Unlike GitHub's search, it knows the newest."""
    query = {"state": "all", "sort": "created", "direction": "asc", "since": _since(incident)}
    return (entry for entry in _pages(tracker, "issues", **query) if "pull_request" not in entry)


def _pages(tracker: Tracker, place: str, **query: str) -> Iterator[dict[str, Any]]:
    for page in range(1, _PAGES + 1):
        words = urlencode({**query, "per_page": _PAGE, "page": page})
        found = _ask(tracker, "GET", f"{place}?{words}")
        if not isinstance(found, list):
            raise _odd(tracker)
        yield from (entry for entry in found if isinstance(entry, dict))
        if len(found) < _PAGE:
            return


def _ask(tracker: Tracker, method: str, place: str, document: Any = None) -> Any:
    assert tracker.token is not None  # noqa: S101 - settings hold it to this
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {resolve_secret(tracker.token)}",
        "User-Agent": "incidentctl",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    answer = http.ask(method, f"{tracker.api.rstrip('/')}/repos/{tracker.repository}/{place}", headers, document)
    if answer.status != (200 if method == "GET" else 201):
        raise _refusal(tracker, answer, datetime.now(UTC))
    return answer.data


def _refusal(tracker: Tracker, answer: http.Answer, now: datetime) -> IncidentctlError:
    status, where = answer.status, tracker.repository
    said = plain(answer.data.get("message", ""), 200) if isinstance(answer.data, dict) else ""
    left, wait = answer.headers.get("x-ratelimit-remaining"), answer.headers.get("retry-after")
    if status == 429 or (status == 403 and (wait or left == "0" or "rate limit" in said.lower())):
        until = _until(wait, answer.headers.get("x-ratelimit-reset") if left == "0" else None, now)
        return NotNow(until, f"GitHub takes no more requests until {until:%H:%M:%S} UTC.", said)
    fix = {
        401: "put a token that is valid where tracker.token says",
        403: f"allow the token of tracker.token to read and write the issues of {where}",
        404: f"see that tracker.repository is right, and that the token may see {where}",
        410: f"switch the issues of {where} on, or name another tracker.repository",
    }.get(status, "see tracker in incidentctl.yml" if status < 500 else "")
    if 300 <= status < 400:
        fix = "name tracker.repository, and tracker.api, as they are called now: no redirect is followed with the token"
    what = f"GitHub answered {status}: no issue of {where} was written."
    return NotNow(now + _REFUSED, what, said, fix) if status < 500 else IncidentctlError(what, said, fix)


def _until(wait: str | None, reset: str | None, now: datetime) -> datetime:
    for text, begin in ((wait, now), (reset, datetime.fromtimestamp(0, UTC))):
        if text is not None and text.isascii() and text.isdigit() and len(text) < 12:
            return min(max(begin + timedelta(seconds=int(text)), now), now + _LONGEST)
    return now + _LIMITED


def _odd(tracker: Tracker) -> IncidentctlError:
    return IncidentctlError(
        f"{tracker.api} does not answer as GitHub does: is it really there?",
        fix="tracker.api of GitHub Enterprise Server is https://HOST/api/v3",
    )


def _since(incident: Incident) -> str:
    return f"{datetime.fromisoformat(incident.declared_at).astimezone(UTC) - _CLOCKS:%Y-%m-%dT%H:%M:%SZ}"


def _carries(entry: dict[str, Any], mark: str) -> bool:
    return mark in str(entry.get("body")).splitlines()  # in a code block it would be indented


def _verbatim(lines: Iterable[str]) -> str:
    return "\n".join(f"    {plain(line, _LINE)}" for line in lines)
