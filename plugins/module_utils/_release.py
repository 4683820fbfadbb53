"""Go back to an earlier release, rehearse that, or deploy a hotfix: the work of prepare_rollback, rollback and hotfix."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import ModuleType
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _backup_list,
    _migrations,
    _release_command,
    _release_forward,
    _release_health,
    _release_history,
    _release_hotfix,
    _release_image,
    _release_rollback,
    _release_symlink,
)
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import services_of_host
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result, action, between, result

_KINDS: dict[str, ModuleType] = {
    "symlink": _release_symlink,
    "command": _release_command,
    "compose_image": _release_image,
}
_SMALL = 1 << 20  # bytes: what is longer is an interpreter, which is not what makes the difference
_CAPABILITIES = {"prepared": "prepare_rollback", "rolled_back": "rollback", "forward": "rollback", "hotfixed": "hotfix"}


def run(params: dict[str, Any], check_mode: bool) -> Result:
    """Bring this host's services that declare `releases` into `state`: `prepared`, `rolled_back`, `forward` or `hotfixed`.

    `prepared` changes nothing and says in its facts what a rollback would do; the others act on the
    services in `only`, and on none when it names none.
    """
    if params["state"] != "prepared" and not params.get("only"):
        refusal = f"no service was named: set the role's _only to the services of the {capability(params)}"
        return result(capability(params), [action("services", "refused", refusal)])
    services = [s for s in services_of_host(params) if "releases" in s or params.get("only")]
    actions: list[dict[str, Any]] = []
    facts: dict[str, dict[str, Any]] = {}
    for service in services:
        row, told = _one(service, params, check_mode)
        if params["state"] != "prepared" and row["outcome"] not in ("refused", "skipped"):
            row = between(row, *_ends(service, told, params["state"]))
        actions.append(row)
        if told:
            facts[service["name"]] = told
    diff = [_diff(row["target"], facts[row["target"]], params["state"]) for row in actions if row["outcome"] == "done"]
    nothing = "no service with releases runs on this host"
    return result(capability(params), actions, facts={"services": facts}, diff=diff, nothing=nothing)


def capability(params: dict[str, Any]) -> str:
    """Return the role that a state belongs to: prepare_rollback, rollback or hotfix."""
    return _CAPABILITIES[params["state"]]


def _one(service: dict[str, Any], params: dict[str, Any], check_mode: bool) -> _release_rollback.Told:
    name = service["name"]
    if "releases" not in service:
        return action(name, "skipped", f"{name} declares no releases"), {}
    kind = _KINDS[service["releases"]["kind"]]
    if params["state"] == "prepared":
        return _prepare(service, kind, params, check_mode)
    if params["state"] == "hotfixed":
        return _release_hotfix.deploy(service, kind, params, check_mode)
    if params["state"] == "forward":
        return _release_forward.go(service, kind, params, check_mode)
    return _release_rollback.roll_back(service, kind, params, check_mode)


def _prepare(
    service: dict[str, Any], kind: ModuleType, params: dict[str, Any], check_mode: bool
) -> _release_rollback.Told:
    name = service["name"]
    facts = {**kind.plan(service, params), "rehearsed": False}
    facts["backed_up_at"] = _backup_list.verified_at(params["state_dir"], service)
    if facts["feasible"]:
        try:
            kind.rehearse(service, facts["to"], check_mode)
            facts["rehearsed"] = True
        except OSError as error:
            facts["reason"] = str(error)
    noted = _remember(service, params, facts["from"]) if params["remember"] and not check_mode else ""
    if not facts["rehearsed"]:
        return action(name, "skipped", f"{name} cannot be rolled back: {facts['reason']}{noted}", news=True), facts
    schema = _migrations.words(facts)
    summary = f"{name} can go back from {facts['from']} to {_destination(facts)}; {schema}"
    return action(name, "unchanged", summary + noted, news=True), facts


def _remember(service: dict[str, Any], params: dict[str, Any], now: str | None) -> str:
    """Note how the service is under its current release; return what a summary has to say of that."""
    if now is None or "health" not in service:
        return ""
    seen, _at = _release_health.verify(service, params)
    failed = _release_history.noted(params, service["name"], now, seen)
    return failed or f"; noted: {now} is {'healthy' if seen and seen['healthy'] else 'sick'}"


def _ends(service: dict[str, Any], facts: dict[str, Any], state: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the current release is, and what it is to be; of what a command leads to its words and files are known."""
    command = {"rolled_back": "rollback", "forward": "forward", "hotfixed": "hotfix"}[state]
    before = {"release": facts["from"]}
    if command not in service["releases"]:
        image = {"image": facts["image"]} if "image" in facts else {}
        built = {"built_from": facts["build"]["digest"]} if facts.get("build") else {}
        return before, {"release": facts["to"], **image, **built}
    argv = service["releases"][command]
    files = {word: digest for word in argv if (digest := _digest(Path(word)))}
    return before, {"release": "unknown", "command": argv, "files": files}


def _digest(path: Path) -> str:
    """Return the SHA-256 of a small file that a command names by its whole path, a program or a script; else nothing."""
    try:
        if not path.is_absolute() or not path.is_file() or path.stat().st_size > _SMALL:
            return ""
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _diff(name: str, facts: dict[str, Any], state: str) -> dict[str, Any]:
    after = facts["to"] or "what its rollback command chooses"
    if state == "hotfixed" and after == facts["from"]:
        after = "what its hotfix command deploys"
    return {"before_header": name, "before": f"current -> {facts['from']}\n", "after": f"current -> {after}\n"}


def _destination(facts: dict[str, Any]) -> str:
    if not facts["to"]:
        return "what its rollback command chooses"
    return f"{facts['to']} ({facts['why']})"
