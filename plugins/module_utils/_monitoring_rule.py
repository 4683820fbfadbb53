"""Watch the affected services more closely: the work of role enhanced_monitoring, and its undo.

One rule file in a folder that Prometheus reads, checked before it is loaded, seen in its API after. Facts about rule
files, /-/reload and /api/v1/rules are from Prometheus's own documentation.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
import urllib.parse
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _command,
    _http,
    _ledger,
    _monitoring_api,
    _silence,
)
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import services_named
from ansible_collections.incidentctl.response.plugins.module_utils._monitoring_api import MonitoringError, Server
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result, action, between, result

CAPABILITY = "enhanced_monitoring"
_SEEN_WITHIN_S = 10.0
_PAUSE_S = 0.25
_RELOADED_WITHIN_S = 30.0  # a large Prometheus takes its time


def run(params: dict[str, Any], check_mode: bool) -> Result:
    """Load one rule file for the services in `only` (all of the catalogue when it is empty) into this Prometheus.

    What fires for them already is silenced in each Alertmanager that is named, be Prometheus well or not.
    """
    if params["prometheus_hosts"] not in {params["host_name"], *params["host_groups"], "all"}:
        return result(CAPABILITY, [], nothing="Prometheus does not run on this host")
    services = services_named(params)
    prometheus = {key: params[f"prometheus_{key}"] for key in ("url", "secret_ref", "ca_file")}
    problems = _monitoring_api.check(prometheus, "Prometheus")
    for one in _silence.alertmanagers(params):
        problems += _monitoring_api.check(one, "Alertmanager")
    problems += _silence.problems(params)
    if problems:
        return result(CAPABILITY, [action("monitoring", "failed", "; ".join(problems))])
    watched, diff = _watch(_monitoring_api.server(prometheus), params, services, check_mode)
    hosts = {service["name"]: _hosts(service, params["inventory"]) for service in services}
    return result(CAPABILITY, [watched, *_silence.silence(params, CAPABILITY, hosts, check_mode)], diff=diff)


def _watch(
    prometheus: Server, params: dict[str, Any], services: list[dict[str, Any]], check_mode: bool
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the action for the rule file, and its diff."""
    path = Path(params["rules_dir"]) / f"incidentctl-{params['incident_id']}.yml"
    group = f"incidentctl-{params['incident_id']}"
    text = rules(group, services, params["inventory"])
    names = ", ".join(service["name"] for service in services)
    try:
        before = _text(path)
        diff = [{"before_header": str(path), "after_header": str(path), "before": before or "", "after": text}]
        goal = {"rules": _sha256(text)}
        ends = {"rules": None if before in (None, text) else _sha256(before)}, goal
        if before == text and _is_loaded(prometheus, group):
            earlier = _ledger.latest_open(params, CAPABILITY, group)
            if earlier is not None and earlier["state"] == "intended" and not check_mode:
                _ledger.mark(earlier, "applied")  # whoever loaded it was cut off
            return between(action(names, "unchanged", f"{group} is loaded already"), goal, goal), []
        if not path.parent.is_dir():
            raise MonitoringError(
                f"{path.parent} is not there: name the folder of Prometheus's rule_files in rules_dir"
            )
        if check_mode:
            if unfit := _unfit(prometheus, services):
                return action(names, "failed", "; ".join(unfit)), []
            return between(action(names, "done", f"{path.name} would be loaded"), *ends), diff
        undo = {"kind": "monitoring_rule", "path": str(path), "sha256": _sha256(text), "group": group, **prometheus}
        entry = _ledger.intend_once(params, CAPABILITY, group, {"file": before is not None}, undo)
        return between(_load(entry, before, text, names), *ends), diff
    except OSError as error:
        return action(names, "failed", str(error)), []


def remove(entry: _ledger.Entry, check_mode: bool) -> tuple[str, bool]:
    """Remove the rule file that an entry put there, and see that Prometheus has let it go.

    A file that is not ours any more stays: somebody else changed it. Raise OSError when it cannot be undone.
    """
    undo = entry["undo"]
    path, group, prometheus = Path(undo["path"]), undo["group"], _monitoring_api.server(undo)
    before = _text(path)
    if before is not None and _sha256(before) != undo["sha256"]:
        raise MonitoringError(f"{path} was changed by somebody else")
    if check_mode:
        return f"{path.name} would be removed", False
    path.unlink(missing_ok=True)
    _draft(path).unlink(missing_ok=True)  # of a try that was killed
    _reload(prometheus, _RELOADED_WITHIN_S)
    if not _wait(prometheus, group, loaded=False):
        raise MonitoringError(f"{prometheus['url']} still has the rules of {group} after a reload")
    return (f"{path.name} was already gone" if before is None else f"{path.name} removed"), True


def rules(group: str, services: list[dict[str, Any]], inventory: dict[str, list[str]]) -> str:
    """Return a rule file (JSON is YAML): each service's own `alerts`, and its hosts' scrape targets gone.

    `inventory` is group or host name → host names. Evaluated every five seconds, and fired at once: in an incident a
    minute of patience is too much.
    """
    found: list[dict[str, Any]] = []
    for service in services:
        name = service["name"]
        instances = "|".join(re.escape(host) for host in _hosts(service, inventory))
        # In a string of PromQL a backslash is written as two, as in JSON.
        instance = json.dumps(f"({instances})(:[0-9]+)?")
        expressions = [(f"{name}: a target is down", f"up{{instance=~{instance}}} == 0")]
        expressions += [(alert["name"], alert["expr"]) for alert in service.get("alerts", [])]
        for summary, expression in expressions:
            found.append(
                {
                    "alert": "Incident_" + re.sub(r"[^A-Za-z0-9]+", "_", summary).strip("_"),
                    "expr": expression,
                    "labels": {"severity": "critical", "service": name, "incident": group},
                    "annotations": {"summary": summary},
                }
            )
    return json.dumps({"groups": [{"name": group, "interval": "5s", "rules": found}]}, indent=1) + "\n"


def _unfit(prometheus: Server, services: list[dict[str, Any]]) -> list[str]:
    """Return what Prometheus has against the expressions of services: one that it does not take spoils the whole rule file.

    Each is asked once, as the rule would be every five seconds.
    """
    found = []
    for name, alert in ((service["name"], alert) for service in services for alert in service.get("alerts", [])):
        query = urllib.parse.urlencode({"query": alert["expr"]})
        try:
            _monitoring_api.ask(prometheus, f"/api/v1/query?{query}", _monitoring_api.anything)
        except _monitoring_api.NotAQuestion as error:
            found.append(f"{name}: the expression of alert {alert['name']!r} cannot be used: {error}")
    return found


def _hosts(service: dict[str, Any], inventory: dict[str, list[str]]) -> list[str]:
    return inventory.get(service["hosts"], [service["hosts"]])


def _load(entry: _ledger.Entry, before: str | None, text: str, names: str) -> dict[str, Any]:
    """Put the file there, and see it loaded; else leave what was there before, and the entry closed."""
    undo = entry["undo"]
    path, group, prometheus = Path(undo["path"]), undo["group"], _monitoring_api.server(undo)
    try:
        _place(path, text)
        _reload(prometheus, _RELOADED_WITHIN_S)
        if not _wait(prometheus, group, loaded=True):
            raise MonitoringError(f"{prometheus['url']} does not show {group}: is {path.parent} in its rule_files?")
    except OSError:
        if _text(path) == text:
            # Of this incident, with other services: its own entry takes that back. (The same text is of a cut-off try.)
            path.unlink() if before in (None, text) else _place(path, str(before))
            _reload_if_it_can(prometheus)
        _ledger.mark(entry, "lifted")
        raise
    entry = _ledger.mark(entry, "applied")
    return action(names, "done", f"{path.name} loaded{_ledger.caveat(entry)}", entry=entry["name"], verified=True)


def _place(path: Path, text: str) -> None:
    """Check a rule file, and have it where Prometheus reads it, whole or not at all."""
    draft = _draft(path)
    try:
        draft.write_text(text, encoding="utf-8")
        draft.chmod(0o644)  # Prometheus reads it as its own user
        _check(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _draft(path: Path) -> Path:
    return path.with_suffix(".draft")  # not a name that rule_files would match


def _text(path: Path) -> str | None:
    """Return what a rule file says; None where there is none."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None


def _check(draft: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        return  # the reload checks it too, only later
    checked = _command.run([promtool, "check", "rules", str(draft)])
    if not checked.ok:
        raise MonitoringError(str(checked))


def _reload(prometheus: Server, within_s: float) -> None:
    url = f"{prometheus['url']}/-/reload"
    answer = _http.call({**prometheus, "url": url, "method": "POST", "timeout_s": within_s})
    if answer["status"] != 200:
        needs = {403: " (Prometheus needs --web.enable-lifecycle)"}.get(answer["status"], "")
        raise MonitoringError(f"{url}: {_http.in_words(answer)}{needs}")


def _reload_if_it_can(prometheus: Server) -> None:
    """After a failure the old rules should be in force again; what failed is told, not this."""
    with suppress(OSError):
        _reload(prometheus, min(5.0, _RELOADED_WITHIN_S))


def _wait(prometheus: Server, group: str, loaded: bool) -> bool:
    deadline = time.monotonic() + _SEEN_WITHIN_S
    while _is_loaded(prometheus, group) is not loaded:
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_S)
    return True


def _is_loaded(prometheus: Server, group: str) -> bool:
    names = _monitoring_api.ask(
        prometheus,
        f"/api/v1/rules?type=alert&rule_group[]={group}",
        lambda answer: [found["name"] for found in answer["data"]["groups"]],
    )
    return group in names


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
