"""Silence what is already worked on, so that nobody is paged for it again; and its undo. Alertmanager's API v2.

Each alert that fires now is silenced by exactly its labels: one that begins later is news, and is heard.
"""

from __future__ import annotations

import datetime
import json
import re
import urllib.parse
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _http, _ledger
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import action

TARGET = "alerts"
_BY = "incidentctl"
_AT_MOST = 50  # more alerts than that are a storm, which wants a person


class SilenceError(OSError):
    """Alertmanager did not do what it was asked; the message says what it said."""


def silence(
    params: dict[str, Any], capability: str, services: dict[str, list[str]], check_mode: bool
) -> list[dict[str, Any]]:
    """Given services, each with its hosts, silence what fires for them; return the action, none without alerts.

    `params` holds alertmanager_url (empty: nothing is silenced), `only` (empty: all services are meant, and nothing
    is silenced: that would be the whole site) and expires_after, in seconds, after which a silence ends by itself.
    """
    url = params["alertmanager_url"].rstrip("/")
    if not (url and params["only"]):
        return []
    try:
        found = _firing(url, services)
        if not found:
            return []
        names = ", ".join(sorted(_name(labels) for labels in found))
        if check_mode:
            return [action(TARGET, "done", f"would be silenced until it is lifted: {names}")]
        comment = f"{params['incident_id']} is being worked on; lift removes this"
        undo = {"kind": "silence", "url": url, "comment": comment, "alerts": sorted({a["alertname"] for a in found})}
        entry = _ledger.intend_once(params, capability, TARGET, {}, undo)
        for labels in found:
            _post(url, labels, comment, params["expires_after"])
        entry = _ledger.mark(entry, "applied")
        left = [_name(labels) for labels in _firing(url, services) if labels in found]
        if left:
            raise SilenceError(f"{url} took the silences, and does not keep {', '.join(left)} silent")
    except OSError as error:
        return [action(TARGET, "failed", str(error))]
    told = f"silenced until it is lifted: {names}{_ledger.caveat(entry)}"
    return [action(TARGET, "done", told, entry=entry["name"], verified=True)]


def end(entry: _ledger.Entry, check_mode: bool) -> tuple[str, bool]:
    """End the silences of an entry, and see that they have ended. Raise OSError when that cannot be done."""
    undo = entry["undo"]
    ours = _ours(undo)
    told = f"{len(ours)} silence(s)"
    if check_mode:
        return f"{told} would be ended", False
    for number in ours:
        _ask(undo["url"], f"/api/v2/silence/{urllib.parse.quote(number, safe='')}", method="DELETE")
    if ours and _ours(undo):
        raise SilenceError(f"{undo['url']} still has the silences of {entry['incident']}")
    return (f"{told} ended" if ours else "the silences were already gone"), True


def _firing(url: str, services: dict[str, list[str]]) -> list[dict[str, str]]:
    """Return the labels of each alert of these services, or of their hosts, that fires and that nobody silenced."""
    hosts = sorted({re.escape(host) for found in services.values() for host in found})
    wanted = [f'service=~"{"|".join(services)}"', f'instance=~"({"|".join(hosts)})(:[0-9]+)?"']
    found: dict[str, dict[str, str]] = {}
    for filtered in wanted:
        query = urllib.parse.urlencode({"silenced": "false", "inhibited": "false", "filter": filtered})
        for alert in _ask(url, f"/api/v2/alerts?{query}"):
            # What enhanced monitoring itself looks out for must be heard.
            if not alert["labels"].get("incident", "").startswith("incidentctl-"):
                found[alert["fingerprint"]] = alert["labels"]
    if len(found) > _AT_MOST:
        raise SilenceError(f"{len(found)} alerts fire for these services: too many to silence without a look")
    return list(found.values())


def _post(url: str, labels: dict[str, str], comment: str, expires_after: int) -> None:
    now = datetime.datetime.now(datetime.timezone.utc)
    document = {
        "matchers": [
            {"name": name, "value": value, "isRegex": False, "isEqual": True} for name, value in labels.items()
        ],
        "startsAt": now.isoformat(),
        "endsAt": (now + datetime.timedelta(seconds=expires_after)).isoformat(),
        "createdBy": _BY,
        "comment": comment,
    }
    _ask(url, "/api/v2/silences", method="POST", json=document)


def _ours(undo: dict[str, Any]) -> list[str]:
    """Return the ids of an entry's silences that have not ended."""
    found: dict[str, None] = {}
    for name in undo["alerts"]:
        query = urllib.parse.urlencode({"filter": f"alertname={json.dumps(name)}"})
        for one in _ask(undo["url"], f"/api/v2/silences?{query}"):
            if (one["createdBy"], one["comment"]) == (_BY, undo["comment"]) and one["status"]["state"] != "expired":
                found[str(one["id"])] = None
    return list(found)


def _name(labels: dict[str, str]) -> str:
    return " ".join(labels[key] for key in ("alertname", "instance") if key in labels)


def _ask(url: str, path: str, **request: Any) -> Any:
    answer = _http.call({"url": url + path, "timeout_s": 10, **request})
    try:
        if answer["status"] == 200:
            return json.loads(answer["body"] or "{}")
        why = answer["error"] or f"{answer['status']} {answer['body'][:200]}"
    except ValueError:
        why = "not what Alertmanager answers"
    raise SilenceError(f"{url}{path.partition('?')[0]}: {why}")
