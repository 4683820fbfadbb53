"""Write parts of evidence into one bundle, within what they may cost, and say in its manifest what became of each."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Callable

from ansible_collections.incidentctl.response.plugins.module_utils import _evidence_packing, _ledger, _parallel
from ansible_collections.incidentctl.response.plugins.module_utils._budget import Budget
from ansible_collections.incidentctl.response.plugins.module_utils._evidence_part import Allowance, Content, Part
from ansible_collections.incidentctl.response.plugins.module_utils._regular_file import NotRegularError

FORMAT = 2
_PART_S = 30.0  # for one part: a disk that does not answer holds up no other
_GRACE_S = 2.0  # for a part that keeps to its time by itself

Manifest = dict[str, Any]
Stage = Callable[[], "list[Part]"]


def write(
    bundle: Path,
    stages: Iterable[tuple[Stage, int]],
    params: dict[str, Any],
    budget: Budget,
    zstd: bool = False,
    note: str = "",
) -> Manifest:
    """Write all parts that can be read, stage after stage, and last the manifest, which comes back.

    A stage is asked for its parts only when the one before has been read, and comes with the bytes that are kept for
    those after it. The caps count what is collected, before it is compressed, with `zstd` or gzip.
    Raise PackerError if zstd fails.
    """
    # Half of what is free at most: evidence must not be what fills the disk.
    room = min(params["max_bytes"], shutil.disk_usage(bundle.parent).free // 2)
    manifest: Manifest = {
        "format": FORMAT,
        "host": params["host_name"],
        "incident": params["incident_id"],
        "at": _ledger.now(),
        **({"note": note} if note else {}),
        "caps": {key: params[f"max_{key}"] for key in ("bytes", "file_bytes", "seconds", "cpu_seconds")},
        "room": room,
        "estimate": {"parts": 0, "bytes": 0, "not_known": 0},
        "members": [],
        "refused": [],
        "missing": [],
    }
    descriptor = os.open(bundle, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream, _evidence_packing.tar(stream, zstd) as tar:
        for stage, kept in stages:
            parts = stage()
            _estimate(parts, manifest["estimate"])
            reserve = min(kept, room // 8)
            room = reserve + _take(tar, parts, manifest, Room(room - reserve, params["max_file_bytes"], parts), budget)
        manifest["used"] = budget.used()
        add(tar, "manifest.json", json.dumps(manifest, indent=1).encode())
    return manifest


class Room:
    """Bytes for the parts of one stage: small ones whole, and large ones all cut to the same size, where not all fit."""

    def __init__(self, left: int, most: int, parts: list[Part]) -> None:
        """`most` is what one part may take. A part of which nobody knows may take all of it."""
        self.left, self._most = left, most
        self._wishes = [most if part.estimate is None else min(part.estimate, most) for part in parts]
        self._wished = sum(self._wishes)

    def next(self) -> int:
        """Return what the next part may take; call `took` when it has."""
        others = self._wished - self._wishes[0]
        if others + self._wishes[0] <= self.left:
            return min(self._most, self.left - others)  # it may have grown since
        return min(self._most, max(0, level(self.left, self._wishes)))

    def took(self, size: int) -> None:
        """Take a part's bytes off."""
        self.left -= size
        self._wished -= self._wishes.pop(0)


def level(room: int, wishes: list[int]) -> int:
    """Return the size to which wishes must be cut, so that all of them fit into `room`."""
    ordered = sorted(wishes)
    for number, wish in enumerate(ordered):
        share = room // (len(ordered) - number)
        if wish > share:
            return share
        room -= wish
    return max(ordered, default=0)


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add one file to a bundle, which only its owner may read."""
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = len(content), int(time.time()), 0o600
    tar.addfile(member, io.BytesIO(content))


def _estimate(parts: list[Part], estimate: dict[str, int]) -> None:
    estimate["parts"] += len(parts)
    estimate["bytes"] += sum(part.estimate or 0 for part in parts)
    estimate["not_known"] += sum(part.estimate is None for part in parts)


def _take(tar: tarfile.TarFile, parts: list[Part], manifest: Manifest, room: Room, budget: Budget) -> int:
    """Add each part to the bundle, and its row to the manifest; return the bytes that are left."""
    for part in parts:
        at, size = _ledger.now(), 0
        try:
            content = _read(part, room.next(), budget)
        except NotRegularError as error:
            manifest["refused"].append({"origin": part.origin, "reason": str(error)})
        except OSError as error:
            manifest["missing"].append({"origin": part.origin, "reason": error.strerror or str(error)})
        else:
            add(tar, part.name, content.bytes)
            size = len(content.bytes)
            manifest["members"].append(_row(part, at, content))
        room.took(size)
    return room.left


def _row(part: Part, at: str, content: Content) -> dict[str, Any]:
    row = {"name": part.name, "origin": part.origin, "at": at, "bytes": len(content.bytes)}
    row["sha256"] = hashlib.sha256(content.bytes).hexdigest()
    told = {"source": content.source, "note": content.note}
    return {**row, "cut": bool(content.cut_by), "cut_by": content.cut_by, **{k: v for k, v in told.items() if v}}


def _read(part: Part, cap: int, budget: Budget) -> Content:
    """Read one part in a thread of its own: it may hang where nothing can be interrupted."""
    over = budget.why_over()
    if over or cap <= 0:
        raise OSError(over or "the bundle was full before it")
    until = min(budget.until, time.monotonic() + _PART_S)
    allowance = Allowance(cap, until, budget.left_cpu_s)
    content = _parallel.each(part.read, [allowance], until - time.monotonic() + _GRACE_S)[0]
    if content is _parallel.LATE:
        raise OSError("it could not be read in time")
    return content  # type: ignore[no-any-return]
