"""Collect what a host knows, the most volatile first, into one bundle: the work of role log_collection.

First connections, processes and memory, then logs, then configuration. A host in an incident may be hostile, and is in
trouble: nothing is read but regular files on its disks, byte for byte, within caps on bytes, time and CPU, behind
whatever else it has to do. The manifest in the bundle says of every part where it came from, its SHA-256 and its size,
and of what is cut or not there why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _budget,
    _evidence_bundle,
    _evidence_configuration,
    _evidence_logs,
    _evidence_packing,
    _evidence_place,
    _parallel,
    _text,
    _volatile,
)
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import services_of_host
from ansible_collections.incidentctl.response.plugins.module_utils._evidence_part import Part
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result, action, result

CAPABILITY = "log_collection"
_MOST_BYTES = 1_000_000_000  # of a bundle the controller looks into 1 GiB, what holds the archive together counted
_CONFIGURATION_BYTES = 2 << 20  # kept for it, where logs would take all
_TOLD = 20  # of what is missing, refused or cut; the manifest has all
_NAMED = 50  # of what would be collected
_WORDS = 200
_EVER_S = 1e6  # the budget ends it, and the task's own deadline


Params = dict[str, Any]


def run(params: Params, check_mode: bool) -> Result:
    """Write the bundle into a folder that only the login user can enter; say where, and what is in it.

    The action plugin brings it home and removes it. `changed` is never true: nothing stays on the host.
    """
    if params["state"] == "undelivered":
        return _undelivered(params, check_mode)
    refusal = _evidence_place.why_not(params["host_name"]) or _too_much(params["max_bytes"])
    if refusal:
        return result(CAPABILITY, [action("bundle", "refused", refusal)])
    services = services_of_host(params)
    if check_mode:
        return _plan(
            [*_volatile_parts(), *_evidence_logs.parts(services, params), *_evidence_configuration.parts(services)]
        )
    collected = _parallel.each(lambda _nothing: _collect(services, params), [None], _EVER_S)[0]
    return _unchanged(collected)


def _too_much(max_bytes: int) -> str:
    more = max_bytes > _MOST_BYTES
    return f"max_bytes is over {_MOST_BYTES:,}: evidence verify looks into no larger bundle" if more else ""


def _volatile_parts() -> list[Part]:
    return [part._replace(name=f"volatile/{n:02d}-{part.name}") for n, part in enumerate(_volatile.parts(), 1)]


def _plan(parts: list[Part]) -> Result:
    known = sum(part.estimate or 0 for part in parts)
    names = [_text.clean(part.origin, _WORDS) for part in parts if not part.name.startswith("configuration/")]
    plan = f"would collect {len(parts)} parts, about {known} bytes of logs and configuration: "
    plan += ", ".join(
        [*names[:_NAMED], *([f"and {len(parts) - len(names[:_NAMED])} more"] if len(parts) > _NAMED else [])]
    )
    return _unchanged(result(CAPABILITY, [action("bundle", "done", plan)]))


def _collect(services: list[dict[str, Any]], params: Params) -> Result:
    """Collect, in a thread that goes behind all else."""
    _budget.step_back()
    budget = _budget.Budget(params["max_seconds"], params["max_cpu_seconds"])
    removed = _evidence_place.abandoned(params["login_user"])
    stages = (
        (_volatile_parts, 0),
        (lambda: _evidence_logs.parts(services, params), _CONFIGURATION_BYTES),
        (lambda: _evidence_configuration.parts(services), 0),
    )
    name, room = _evidence_place.name_of(params), 2 * params["max_bytes"]
    with _evidence_place.work_folder(name, room, params["login_user"]) as folder:
        bundle, manifest = _packed(folder, stages, params, budget)
        size, digest = bundle.stat().st_size, _evidence_place.sha256(bundle)
        _evidence_place.give_to_login_user(params["login_user"], bundle, folder)
    facts = _facts(manifest)
    answer = result(
        CAPABILITY,
        [action("bundle", "done", ", ".join([_summary(manifest), *_evidence_place.told(removed)]))],
        facts={**facts, **budget.used()},
        files=[{"path": params["dest"], "sha256": digest, "bytes": size}],
    )
    warnings = [manifest["note"]] if "note" in manifest else []
    warnings += [f"refused {text}" for text in facts["refused"]]
    return {**answer, "bundle": str(bundle), "warnings": warnings}


def _packed(
    folder: Path, stages: Sequence[tuple[_evidence_bundle.Stage, int]], params: Params, budget: _budget.Budget
) -> tuple[Path, dict[str, Any]]:
    """Write the bundle with zstd where that works; where it ends in the middle, anew with gzip, within the same caps."""
    note = ""
    if params["compression"] == "auto" and _evidence_packing.has_zstd():
        bundle = folder / "evidence.tar.zst"
        try:
            return bundle, _evidence_bundle.write(bundle, stages, params, budget, zstd=True)
        except _evidence_packing.PackerError as error:
            bundle.unlink()
            note = f"{_text.clean(str(error), _WORDS)}; all was read once more after that, and is packed with gzip"
    bundle = folder / "evidence.tar.gz"
    return bundle, _evidence_bundle.write(bundle, stages, params, budget, note=note)


def _facts(manifest: dict[str, Any]) -> dict[str, Any]:
    members = manifest["members"]
    told = {key: _told(manifest[key]) for key in ("refused", "missing")}
    return {
        "members": len(members),
        "bytes": sum(member["bytes"] for member in members),
        "estimated_bytes": manifest["estimate"]["bytes"],
        **told,
        "cut": _told({"origin": row["origin"], "reason": _why_cut(row)} for row in _cut(members)),
    }


def _told(rows: Any) -> list[str]:
    """Say what is not there, and why; of too much only the first. What a host calls its files is no text to trust."""
    told = [_text.clean(f"{row['origin']}: {row['reason']}", _WORDS) for row in rows]
    return told if len(told) <= _TOLD else [*told[:_TOLD], f"and {len(told) - _TOLD} more, as the manifest says"]


def _cut(members: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Give what was cut to fit; that a log ends where it was asked to is no loss."""
    return (row for row in members if row["cut_by"] == "bytes")


def _why_cut(row: dict[str, Any]) -> str:
    size = row.get("source", {}).get("size")
    return f"the last {row['bytes']} of {size} bytes" if size is not None else f"the last {row['bytes']} bytes"


def _summary(manifest: dict[str, Any]) -> str:
    """Say what there is, and what does not fit the caps: who reads it must know what is not there."""
    members = manifest["members"]
    logs, cut = [row for row in members if row["name"].startswith("logs/")], list(_cut(members))
    told = [f"{len(members)} parts, {sum(member['bytes'] for member in members)} bytes"]
    if cut:
        whole = sum(row["cut_by"] != "bytes" for row in logs)
        names = ", ".join(_text.clean(row["origin"], 80) for row in cut[:3]) + (" …" if len(cut) > 3 else "")
        told.append(f"{whole} of {len(logs)} logs whole, {len(cut)} cut to fit: {names}")
    told += [f"{len(manifest[key])} {key}" for key in ("refused", "missing") if manifest[key]]
    return ", ".join(told)


def _undelivered(params: Params, check_mode: bool) -> Result:
    """Remove a bundle that did not come home, and say so: an incident must not believe that it has it."""
    if not check_mode:
        _evidence_place.remove(params["bundle"])
    summary = f"the bundle did not reach {params['dest']}: {params['reason']}"
    return _unchanged(result(CAPABILITY, [action("bundle", "failed", summary)]))


def _unchanged(answer: Result) -> Result:
    return {**answer, "changed": False}
