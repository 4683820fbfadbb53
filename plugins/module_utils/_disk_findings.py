"""Which disks are full or fill, and what fills them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._finding import Finding, finding, span

_FULL = ((95.0, "critical"), (85.0, "warning"))
_SOON_S = ((900.0, "critical"), (3600.0, "warning"))
_FLOOD = 20 << 20  # bytes a minute
_RECENT = 0.1  # of a disk, written within the last hour
_MANY = 1000  # entries of one folder that came within the last hour
_GIB, _MIB = 1024**3, 1024**2

Facts = dict[str, Any]


def of_disks(resources: Facts) -> Iterator[Finding]:
    """Given what _resources saw, say which disks are full or fill, and which folder it is."""
    folders = {found["disk"]: found for found in resources["folders"]}
    for disk in resources["disks"]:
        yield from of_disk(disk)
        rows = [row for row in resources["growing"] if row["disk"] == disk["path"]]
        floods = list(_floods(rows, disk))
        yield from floods or _filling(disk, folders.get(disk["path"]))
    yield from _floods([row for row in resources["growing"] if row["disk"] is None], None)
    full = {disk["path"]: severity for disk in resources["disks"] if (severity := _severity(disk["used_percent"]))}
    for row in resources["deleted"]:
        if row["disk"] in full:
            what = f"{row['path']} open, which is deleted: {_size(row['bytes'])} of {row['disk']}"
            yield finding(full[row["disk"]], "deleted_open", f"{row['name']} ({row['pid']}) keeps {what}", **row)
    for path in resources["mounts"]["read_only"]:
        text = f"{path} is mounted read-only, though /etc/fstab does not say so: the kernel does that after an error of the disk"
        yield finding("critical", "read_only", text, path=path)
    for path in resources["mounts"]["missing"]:
        yield finding("warning", "not_mounted", f"nothing is mounted on {path}, though /etc/fstab says so", path=path)


def of_disk(disk: Facts) -> Iterator[Finding]:
    """Return what there is to say of one disk, as _disks looks at it."""
    if disk["free_bytes"] is None:
        text = f"disk of {disk['path']}: cannot be looked at, or does not answer"
        yield finding("warning", "disk_silent", text, path=disk["path"])
    for key, kind, what in (
        ("used_percent", "disk", "full"),
        ("inodes_used_percent", "inodes", "of its inodes used"),
    ):
        severity = _severity(disk[key])
        if severity:
            left = f", {_size(disk['free_bytes'])} free" if kind == "disk" else ""
            text = f"disk {disk['path']}: {disk[key]:g} % {what}{left}"
            yield finding(severity, kind, text, path=disk["path"], percent=disk[key])


def _filling(disk: Facts, folders: Facts | None) -> Iterator[Finding]:
    """Name the folder that fills a disk: by what has grown while we looked, by what is new, or else by what it holds."""
    pace = disk.get("bytes_per_minute") or 0
    soon = _soon(disk, pace)
    full, crowded = _severity(disk["used_percent"]), _severity(disk["inodes_used_percent"])
    if not folders:
        if soon:
            text = f"disk {disk['path']} fills by {_size(pace)} a minute: {_full_in(disk, pace)}"
            yield finding(soon, "folder_growing", text, path=disk["path"], disk=disk["path"], bytes_per_minute=pace)
        return
    growing, recent, largest = folders["growing"], folders["recent"], folders["largest"]
    worst = "critical" if "critical" in (full, soon) else full or soon
    about: Facts = {"disk": disk["path"], "bytes_per_minute": growing["bytes_per_minute"]}
    if worst and growing["bytes_per_minute"] >= _MIB:
        pace = growing["bytes_per_minute"]
        text = f"{growing['path']} grows by {_size(pace)} a minute: {_full_in(disk, pace)}"
        yield finding(worst, "folder_growing", text, **{**about, "path": growing["path"]})
    elif worst and (file := folders["recent_file"])["bytes"] >= _RECENT * (disk["total_bytes"] or 0):
        # Once a disk is full, what has filled it does not grow any more.
        state = f"which is {disk['used_percent']:g} % full" if full else _full_in(disk, pace)
        text = f"{file['path']}, written within the last hour, holds {_size(file['bytes'])} of {disk['path']}, {state}"
        yield finding(worst, "folder_growing", text, path=file["path"], bytes=file["bytes"], **about)
    elif worst and recent["bytes"] >= _RECENT * (disk["total_bytes"] or 0):
        text = f"files in {recent['path']} that were written within the last hour hold {_size(recent['bytes'])} of {disk['path']}"
        yield finding(worst, "folder_growing", text, path=recent["path"], bytes=recent["bytes"], **about)
    elif full:
        text = f"most of what was looked at on {disk['path']} is in {largest['path']}: {_size(largest['bytes'])}"
        yield finding("info", "folder_largest", text, path=largest["path"], bytes=largest["bytes"], **about)
    if crowded:
        new, most = folders["recent_entries"], folders["most_entries"]
        fresh = new["entries"] >= min(_MANY, most["entries"] / 2)
        text = f"{new['entries'] if fresh else most['entries']} files are in {(new if fresh else most)['path']}"
        text += ", of the last hour" if fresh else ""
        about = {"path": (new if fresh else most)["path"], "disk": disk["path"], "entries": most["entries"]}
        yield finding(crowded, "folder_growing", text, **about)


def _floods(growing: list[Facts], disk: Facts | None) -> Iterator[Finding]:
    """Return what there is to say of files that grow fast: logs, and what would fill its disk."""
    for row in growing:
        pace = row["bytes_per_minute"]
        soon = _soon(disk, pace) if disk else None
        full = _severity(disk["used_percent"]) if disk else None
        if not (pace >= _FLOOD and (row["log"] or full)) and not (pace >= _MIB and soon):
            continue
        worst = "critical" if "critical" in (soon, full) else "warning"
        who = f", written by {', '.join(row['by'])}" if row["by"] else ""
        until = f": {_full_in(disk, pace)}" if disk and (soon or full) else ""
        text = f"{row['path']} grows by {_size(pace)} a minute{who}{until}"
        about = {"path": row["path"], "bytes_per_minute": pace, "name": ", ".join(row["by"]), "disk": row["disk"]}
        yield finding(worst, "folder_growing", text, **about)


def _soon(disk: Facts, pace: int) -> str | None:
    """Return how bad it is that a disk fills at this pace, bytes a minute; None if that takes long."""
    if not pace or disk["free_bytes"] is None:
        return None
    return next((severity for limit, severity in _SOON_S if 60 * disk["free_bytes"] / pace < limit), None)


def _severity(percent: float | None) -> str | None:
    return next((severity for limit, severity in _FULL if (percent or 0.0) >= limit), None)


def _full_in(disk: Facts, pace: int) -> str:
    return "it is full" if disk["free_bytes"] < _MIB else f"full in {span(60 * disk['free_bytes'] / pace)}"


def _size(count: int) -> str:
    return f"{count / _GIB:.1f} GiB" if count >= _GIB else f"{count / _MIB:.1f} MiB"
