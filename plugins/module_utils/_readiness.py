"""What would be missing on a host when it is needed: room on disks, programs, passwords. Changes nothing."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _build_context,
    _chain,
    _compose,
    _disk_findings,
    _disks,
    _egress,
    _evidence_place,
    _http,
    _http_toggle,
    _postgresql,
)
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import services_of_host
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result, action, result
from ansible_collections.incidentctl.response.plugins.module_utils._restic import Restic, address, why_not

CAPABILITY = "readiness"
EVIDENCE_ROOM = 100 * 1024 * 1024  # twice what role log_collection brings home at most, as it comes
WRONG, WARNING = "wrong", "warning"

Finding = dict[str, str]
Service = dict[str, Any]


def run(params: dict[str, Any], _check_mode: bool) -> Result:
    """Look at what this host's services would need in an incident; `facts.findings` are {level, text, fix}.

    What is `wrong` fails the role, a `warning` does not. Whether the clock is right cannot be told here: `facts.clock`
    holds when this host was asked, by the controller's clock, and when it began and ended its look, by its own.
    """
    began = time.time()
    services = services_of_host(params)
    found = {
        "disks": list(_room_on_disks(services, params)),
        "programs": list(_programs(services, params)),
        "backups": list(_backups(services, params)),
        "logins": list(_logins(services)),
    }
    clock = {"asked_at": params["asked_at"], "began_at": began, "ended_at": time.time()}
    answer = result(
        CAPABILITY,
        [_row(area, findings) for area, findings in found.items()],
        facts={"clock": clock, "findings": [finding for findings in found.values() for finding in findings]},
    )
    warnings = [
        _sentence(finding) for findings in found.values() for finding in findings if finding["level"] == WARNING
    ]
    return {**answer, "warnings": warnings} if warnings else answer


def _row(area: str, findings: list[Finding]) -> dict[str, Any]:
    wrong = [_sentence(finding) for finding in findings if finding["level"] == WRONG]
    return (
        action(area, "failed", "; ".join(wrong)) if wrong else action(area, "unchanged", f"{area}: nothing is missing")
    )


def _sentence(finding: Finding) -> str:
    return f"{finding['text']}. Fix: {finding['fix']}"


def _finding(text: str, fix: str, level: str = WRONG) -> Finding:
    return {"level": level, "text": text, "fix": fix}


def _room_on_disks(services: list[Service], params: dict[str, Any]) -> Iterator[Finding]:
    """Diagnosis has the same limits: full from 95 %, nearly full from 85 %."""
    places = {"the ledger": params["state_dir"], "evidence": _evidence_place.work_place(EVIDENCE_ROOM)}
    if _has_data(services) and Path(params["repository"]).is_absolute():
        places["backups"] = params["repository"]
    shared: dict[str, tuple[dict[str, Any], list[str]]] = {}
    for use, disk in zip(places, _disks.disks_of(list(places.values()))):
        if disk:
            shared.setdefault(disk["path"], (disk, []))[1].append(use)
    for disk, uses in shared.values():
        for seen in _disk_findings.of_disk(disk):
            fix = f"make room on {disk['path']}, or name other folders (incident_state_dir, incident_backup_repository)"
            level = WRONG if seen["severity"] == "critical" or disk["free_bytes"] is None else WARNING
            yield _finding(f"{seen['text']}; {' and '.join(uses)} would go there", fix, level)


def _programs(services: list[Service], params: dict[str, Any]) -> Iterator[Finding]:
    """Name each program that the catalogue makes necessary here and that is not."""
    for service in services:
        for what, needed_for in _lacking(service):
            yield _finding(
                f"{service['name']}: {what}: {needed_for} would fail", "install it, or correct the catalogue"
            )
    if _wants_restic(services, params) and shutil.which("restic") is None:
        told = "restic is not here, but a password for it is: backups would be plain archives, not encrypted"
        if not _is_folder(params):
            told = f"restic is not here: nothing could be backed up to {address(params['repository'])}"
        yield _finding(told, "install restic on this host")
    here = {params["host_name"], *params["host_groups"], "all"}
    if params["prometheus_hosts"] in here and shutil.which("promtool") is None:
        told = "promtool is not here: rules would be checked by nobody before Prometheus loads them"
        yield _finding(told, "install promtool beside Prometheus", WARNING)


def _lacking(service: Service) -> Iterator[tuple[str, str]]:
    """Yield (what is missing, what would fail without it) of one service."""
    manager, logs = service.get("manager"), {log["kind"] for log in service.get("logs", [])}
    if manager == "systemd" and shutil.which("systemctl") is None:
        yield "systemctl is not here", "stopping and starting it"
    if (manager == "compose" or "compose" in logs) and (lack := _compose.why_not(starts=manager == "compose")):
        yield lack, "stopping and starting it" if manager == "compose" else "collecting its logs"
    if "journal" in logs and shutil.which("journalctl") is None:
        yield "journalctl is not here", "collecting its logs"
    for done, meant in (("limited", bool(service.get("ports"))), ("cut", bool(_egress.egress_of(service)))):
        _able, told = _chain.families(done) if meant else ([], [])
        if missing := [text for text in told if "NOT" in text]:
            yield "; ".join(missing), "rate_limit" if done == "limited" else "circuit_breaker"
    for item in service.get("data", []):
        if item["kind"] == "postgresql" and (lack := _postgresql.why_not(_postgresql.Place.of(item))):
            yield lack, "backup"
    commands = [("control", verb, argv) for verb, argv in service.get("control", {}).items()]
    commands += [("releases", key, argv) for key, argv in service.get("releases", {}).items() if isinstance(argv, list)]
    for part, key, argv in commands:
        if argv and shutil.which(str(argv[0])) is None:
            yield f"{argv[0]} is not here, or not a program", f"{part}.{key}"
    if "build" in service.get("releases", {}):
        try:
            _build_context.build_file(service["releases"]["build"])
        except OSError as error:
            yield str(error), "hotfix"


def _logins(services: list[Service]) -> Iterator[Finding]:
    """Name each secret and authority that a request of the catalogue refers to and that cannot be used here."""
    for service in services:
        needed_for: dict[str, tuple[str, str]] = {}
        for capability, place, request in _http_toggle.requests(service):
            try:
                _http.check(request)
            except OSError as error:
                needed_for.setdefault(str(error), (place, capability))
        for what, (place, capability) in needed_for.items():
            fix = "put it there on this host, readable for the user that the role becomes, or correct the catalogue"
            yield _finding(f"{service['name']}: {place}: {what}: {capability} would fail", fix)


def _backups(services: list[Service], params: dict[str, Any]) -> Iterator[Finding]:
    """See that the password is there and opens the repository, if there is one already."""
    file = Path(params["password_file"])
    if not _wants_restic(services, params):
        return
    if reason := why_not(params["repository"]):
        told, _, mend = reason.partition(". Fix: ")
        yield _finding(
            f"nothing could be backed up: {told}", mend or "put it there, readable for the user that the role becomes"
        )
        return
    fix = f"put the repository's password into {file} on this host, readable for the user that the role becomes"
    try:
        empty = not file.read_bytes().strip()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        yield _finding(f"the backups' password file {file} cannot be read: {reason}", fix)
        return
    if empty:
        yield _finding(f"the backups' password file {file} is empty", fix)
    elif shutil.which("restic") and (not _is_folder(params) or (Path(params["repository"]) / "config").exists()):
        repository = address(params["repository"])
        closed = Restic(params["repository"], str(file), params["host_name"]).why_closed()
        if closed:
            yield _finding(f"the password in {file} does not open the backups in {repository}: {closed}", fix)


def _wants_restic(services: list[Service], params: dict[str, Any]) -> bool:
    """Say whether backups of this host are meant for restic: the inventory says so, or a password is there, as usual."""
    meant = params["password_required"] or not _is_folder(params) or Path(params["password_file"]).exists()
    return _has_data(services) and meant


def _is_folder(params: dict[str, Any]) -> bool:
    return Path(params["repository"]).is_absolute()


def _has_data(services: list[Service]) -> bool:
    return any(service.get("data") for service in services)
