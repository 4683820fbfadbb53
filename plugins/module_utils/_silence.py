"""Silence what is already worked on, so that nobody is paged for it again; and its undo. Alertmanager's API v2.

Each alert that fires now is silenced by exactly its labels: one that begins later is news, and is heard.
"""

from __future__ import annotations

import datetime
import json
import re
import urllib.parse
from contextlib import suppress
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _ledger
from ansible_collections.incidentctl.response.plugins.module_utils._monitoring_api import (
    MonitoringError,
    Server,
    anything,
    ask,
    server,
)
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import action

_BY = "incidentctl"
_MOST_S = 366 * 24 * 3600  # one that lasts longer is none that somebody works on
_AT_MOST = 50  # more alerts than that are a storm, which wants a person


def alertmanagers(params: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is said of each Alertmanager in `alertmanagers` and `alertmanager_url`, each of them once."""
    given = [{"url": params["alertmanager_url"]}] if params["alertmanager_url"] else []
    return list({str(one.get("url")).rstrip("/"): one for one in [*given, *params["alertmanagers"]]}.values())


def problems(params: dict[str, Any]) -> list[str]:
    """Return all that is wrong with what silences are asked for, one sentence each."""
    if alertmanagers(params) and not 1 <= params["expires_after"] <= _MOST_S:
        return [f"expires_after must be from 1 to {_MOST_S}, which is a year"]
    return []


def silence(
    params: dict[str, Any], capability: str, services: dict[str, list[str]], check_mode: bool
) -> list[dict[str, Any]]:
    """Given services, each with its hosts, silence what fires for them; return an action for each Alertmanager.

    None for one where nothing fires, or that keeps silent about it already. `params` names the Alertmanagers, and holds
    `only` (empty: all services are meant, and nothing is silenced: that would be the whole site) and expires_after, in
    seconds, after which a silence ends by itself.
    """
    if not params["only"]:
        return []
    rows = [_silence_at(server(one), params, capability, services, check_mode) for one in alertmanagers(params)]
    return [row for row in rows if row is not None]


def _silence_at(
    alertmanager: Server, params: dict[str, Any], capability: str, services: dict[str, list[str]], check_mode: bool
) -> dict[str, Any] | None:
    place = _place(alertmanager)
    target = f"alerts at {place}"
    try:
        found = _firing(alertmanager, services)
        if not found:
            return None
        names = ", ".join(sorted(_name(labels) for labels in found))
        if check_mode:
            return action(target, "done", f"would be silenced at {place} until it is lifted: {names}")
        comment = f"{params['incident_id']} is being worked on; lift removes this"
        alerts = sorted({labels.get("alertname", "") for labels in found})
        undo = {"kind": "silence", **alertmanager, "comment": comment, "alerts": alerts}
        entry = _ledger.intend_once(params, capability, target, {}, undo)
        there = [silenced for silenced, _number in _ours(undo)]
        for labels in found:
            if labels not in there:
                _post(alertmanager, labels, comment, params["expires_after"])
        _end_doubled(undo)
        entry = _ledger.mark(entry, "applied")
        left = [_name(labels) for labels in _firing(alertmanager, services) if labels in found]
        if left:
            raise MonitoringError(f"it took the silences, and does not keep {', '.join(left)} silent")
    except OSError as error:
        return action(target, "failed", str(error))
    told = f"silenced at {place} until it is lifted: {names}{_ledger.caveat(entry)}"
    return action(target, "done", told, entry=entry["name"], verified=True)


def end(entry: _ledger.Entry, check_mode: bool) -> tuple[str, bool]:
    """End the silences of an entry, and see that they have ended. Raise OSError when that cannot be done."""
    undo = entry["undo"]
    ours = _ours(undo)
    told = f"{len(ours)} silence(s) at {_place(undo)}"
    if check_mode:
        return f"{told} would be ended", False
    _end(undo, [number for _labels, number in ours])
    if ours and _ours(undo):
        raise MonitoringError(f"{undo['url']} still has the silences of {entry['incident']}")
    return (f"{told} ended" if ours else f"the silences at {_place(undo)} were already gone"), True


def _end(undo: dict[str, Any], numbers: list[str]) -> None:
    for number in numbers:
        # What ended meanwhile cannot be ended again, and that is as well: whoever asks looks at what is left.
        with suppress(MonitoringError):
            ask(server(undo), f"/api/v2/silence/{urllib.parse.quote(number, safe='')}", anything, method="DELETE")


def _end_doubled(undo: dict[str, Any]) -> None:
    """Leave one silence of ours for each alert: another host of Prometheus may have silenced it at the same moment."""
    kept: dict[str, str] = {}
    for labels, number in sorted(_ours(undo), key=lambda one: one[1]):
        if kept.setdefault(json.dumps(labels, sort_keys=True), number) != number:
            _end(undo, [number])


def _firing(alertmanager: Server, services: dict[str, list[str]]) -> list[dict[str, str]]:
    """Return the labels of each alert of these services, or of their hosts, that fires and that nobody silenced."""
    hosts = "|".join(sorted({re.escape(host) for found in services.values() for host in found}))
    wanted = [f"service=~{json.dumps('|'.join(services))}", f"instance=~{json.dumps(f'({hosts})(:[0-9]+)?')}"]
    found: dict[str, dict[str, str]] = {}
    for filtered in wanted:
        query = urllib.parse.urlencode({"silenced": "false", "inhibited": "false", "filter": filtered})
        found.update(ask(alertmanager, f"/api/v2/alerts?{query}", _by_fingerprint))
    # What enhanced monitoring itself looks out for must be heard.
    heard = [labels for labels in found.values() if not labels.get("incident", "").startswith("incidentctl-")]
    if len(heard) > _AT_MOST:
        raise MonitoringError(f"{len(heard)} alerts fire for these services: too many to silence without a look")
    return heard


def _by_fingerprint(answer: Any) -> dict[str, dict[str, str]]:
    return {alert["fingerprint"]: dict(alert["labels"]) for alert in answer}


def _post(alertmanager: Server, labels: dict[str, str], comment: str, expires_after: int) -> None:
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
    ask(alertmanager, "/api/v2/silences", anything, method="POST", json=document)


def _ours(undo: dict[str, Any]) -> list[tuple[dict[str, str], str]]:
    """Return an entry's silences that have not ended: the labels that they silence, and their ids."""
    found: dict[str, dict[str, str]] = {}
    for name in undo["alerts"]:
        query = urllib.parse.urlencode({"filter": f"alertname={json.dumps(name)}"})
        found.update(ask(server(undo), f"/api/v2/silences?{query}", lambda answer: _silenced(answer, undo["comment"])))
    return [(labels, number) for number, labels in found.items()]


def _silenced(answer: Any, comment: str) -> dict[str, dict[str, str]]:
    return {
        str(one["id"]): {matcher["name"]: matcher["value"] for matcher in one["matchers"]}
        for one in answer
        if (one["createdBy"], one["comment"]) == (_BY, comment) and one["status"]["state"] != "expired"
    }


def _place(alertmanager: Server) -> str:
    return str(alertmanager["url"]).partition("://")[2]


def _name(labels: dict[str, str]) -> str:
    return " ".join(labels[key] for key in ("alertname", "instance") if key in labels) or "one without a name"
