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
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _command, _http, _ledger, _silence
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import services_named
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result, action, result

CAPABILITY = "enhanced_monitoring"
_SEEN_WITHIN_S = 10.0
_PAUSE_S = 0.25


class MonitoringError(OSError):
    """Prometheus did not take what it was given; the message says what it said."""


def run(params: dict[str, Any], check_mode: bool) -> Result:
    """Load one rule file for the services in `only` (all of the catalogue when it is empty) into this Prometheus.

    What fires for them already is silenced in the Alertmanager that `alertmanager_url` names, if it names one.
    """
    if params["prometheus_hosts"] not in {params["host_name"], *params["host_groups"], "all"}:
        return result(CAPABILITY, [], nothing="Prometheus does not run on this host")
    services = services_named(params)
    watched, diff = _watch(params, services, check_mode)
    hosts = {service["name"]: _hosts(service, params["inventory"]) for service in services}
    return result(CAPABILITY, [watched, *_silence.silence(params, CAPABILITY, hosts, check_mode)], diff=diff)


def _watch(
    params: dict[str, Any], services: list[dict[str, Any]], check_mode: bool
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the action for the rule file, and its diff."""
    path = Path(params["rules_dir"]) / f"incidentctl-{params['incident_id']}.yml"
    group = f"incidentctl-{params['incident_id']}"
    text = rules(group, services, params["inventory"])
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    names = ", ".join(service["name"] for service in services)
    diff = [{"before_header": str(path), "after_header": str(path), "before": before, "after": text}]
    try:
        if before == text and _is_loaded(params["prometheus_url"], group):
            return action(names, "unchanged", f"{group} is loaded already"), []
        if not path.parent.is_dir():
            raise MonitoringError(
                f"{path.parent} is not there: name the folder of Prometheus's rule_files in rules_dir"
            )
        if check_mode:
            return action(names, "done", f"{path.name} would be loaded"), diff
        return _load(params, path, group, text, names), diff
    except OSError as error:
        return action(names, "failed", str(error)), []


def remove(entry: _ledger.Entry, check_mode: bool) -> tuple[str, bool]:
    """Remove the rule file that an entry put there, and see that Prometheus has let it go.

    A file that is not ours any more stays: somebody else changed it. Raise OSError when it cannot be undone.
    """
    undo = entry["undo"]
    path, group, url = Path(undo["path"]), undo["group"], undo["url"]
    if path.is_file() and _sha256(path.read_text(encoding="utf-8")) != undo["sha256"]:
        raise MonitoringError(f"{path} was changed by somebody else")
    if check_mode:
        return f"{path.name} would be removed", False
    was_there = path.is_file()
    path.unlink(missing_ok=True)
    _reload(url)
    if not _wait(url, group, loaded=False):
        raise MonitoringError(f"{url} still has the rules of {group} after a reload")
    return (f"{path.name} removed" if was_there else f"{path.name} was already gone"), True


def rules(group: str, services: list[dict[str, Any]], inventory: dict[str, list[str]]) -> str:
    """Return a rule file (JSON is YAML): each service's own `alerts`, and its hosts' scrape targets gone.

    `inventory` is group or host name → host names. Evaluated every five seconds, and fired at once: in an incident a
    minute of patience is too much.
    """
    found: list[dict[str, Any]] = []
    for service in services:
        name = service["name"]
        instances = "|".join(re.escape(host) for host in _hosts(service, inventory))
        expressions = [(f"{name}: a target is down", f'up{{instance=~"({instances})(:[0-9]+)?"}} == 0')]
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


def _hosts(service: dict[str, Any], inventory: dict[str, list[str]]) -> list[str]:
    return inventory.get(service["hosts"], [service["hosts"]])


def _load(params: dict[str, Any], path: Path, group: str, text: str, names: str) -> dict[str, Any]:
    url = params["prometheus_url"]
    draft = path.with_suffix(".draft")  # not a name that rule_files would match
    try:
        draft.write_text(text, encoding="utf-8")
        draft.chmod(0o644)  # Prometheus reads it as its own user
        _check(draft)
        undo = {"kind": "monitoring_rule", "path": str(path), "sha256": _sha256(text), "group": group, "url": url}
        entry = _ledger.intend_once(params, CAPABILITY, group, {"file": path.is_file()}, undo)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    try:
        _reload(url)
        if not _wait(url, group, loaded=True):
            raise MonitoringError(f"{url} does not show {group}: is {path.parent} in its rule_files?")
    except OSError:
        path.unlink(missing_ok=True)
        _reload_if_it_can(url)
        _ledger.mark(entry, "lifted")
        raise
    entry = _ledger.mark(entry, "applied")
    return action(names, "done", f"{path.name} loaded{_ledger.caveat(entry)}", entry=entry["name"], verified=True)


def _check(draft: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        return  # the reload checks it too, only later
    checked = _command.run([promtool, "check", "rules", str(draft)])
    if not checked.ok:
        raise MonitoringError(str(checked))


def _reload(url: str) -> None:
    answer = _http.call({"url": f"{url}/-/reload", "method": "POST", "timeout_s": 30})
    if answer["status"] != 200:
        told = answer["error"] or f"{answer['status']} {answer['body'][:200]}"
        raise MonitoringError(f"{url}/-/reload: {told} (Prometheus needs --web.enable-lifecycle)")


def _reload_if_it_can(url: str) -> None:
    """After a failure the old rules should be in force again; what failed is told, not this."""
    try:
        _reload(url)
    except OSError:
        return


def _wait(url: str, group: str, loaded: bool) -> bool:
    deadline = time.monotonic() + _SEEN_WITHIN_S
    while _is_loaded(url, group) is not loaded:
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_S)
    return True


def _is_loaded(url: str, group: str) -> bool:
    answer = _http.call({"url": f"{url}/api/v1/rules?type=alert&rule_group[]={group}", "timeout_s": 10})
    try:
        groups = json.loads(answer["body"])["data"]["groups"]
        return any(found["name"] == group for found in groups)
    except (ValueError, KeyError, TypeError) as error:
        told = answer["error"] or f"{answer['status']}, not what Prometheus answers"
        raise MonitoringError(f"{url}/api/v1/rules: {told}") from error


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
