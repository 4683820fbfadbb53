"""Is the evidence of an incident still what came home? Compared with the record, the manifest, and the bundles' own."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from incidentctl import bundles, event_data, evidence_manifest, zstd
from incidentctl.errors import EvidenceChanged, Partial
from incidentctl.incident import Data, Event, Incident

WELL = ("whole", "none", "unfinished")
UNREAD = "unread"
_MOST_FILES = 10_000
_UNFINISHED = re.compile(r"[^/]+/\.[^/]+\.tar\.(?:gz|zst)\.part(?:\.json)?")


@dataclass(frozen=True)
class Checked:
    """One host's bundle, or another file: `whole`, `changed`, `missing`, `extra`; `none` where nothing ever came home.

    `unfinished` is what came of a bundle before its transfer was cut off, which is no evidence.
    `unread`: the bundle is what the record has, but this machine lacks what it takes to compare each part in it.
    """

    host: str
    file: str
    verdict: str
    detail: str


def verify(incident: Incident, events: Sequence[Event], folder: Path) -> list[Checked]:
    """Look at all evidence of an incident, which lies in `folder`, and at whatever else lies there."""
    manifest, said = _manifest(events, folder)
    rows = [manifest]
    for host, kept in evidence_manifest.manifest(incident, folder)["hosts"].items():
        if not kept["bundles"]:
            rows.append(Checked(host, "", "none", kept["why"]))
        for bundle in kept["bundles"]:
            rows.append(_bundle(host, incident.incident_id, bundle, folder, said))
    rows += [_measured(row, folder) for row in incident.measured if "file" in row]
    known = {row.file for row in rows}
    return rows + [_unknown(name) for name in _files(folder) if name not in known]


def _unknown(name: str) -> Checked:
    if _UNFINISHED.fullmatch(name):
        return Checked(
            "", name, "unfinished", "of a transfer that was cut off: the next collection takes or removes it"
        )
    return Checked("", name, "extra", "the record does not know it")


def _manifest(events: Sequence[Event], folder: Path) -> tuple[Checked, Any]:
    """Compare the manifest with what the record has of it; return what it says as well, None if that does not count."""
    recorded = [e.data["manifest"] for e in events if e.kind == "evidence_collected" and "manifest" in e.data]
    name = evidence_manifest.MANIFEST
    try:
        with bundles.opened(folder / name) as stream:
            digest, _size = bundles.sha256(stream)
            stream.seek(0)
            # What is not as it was written may be of any size.
            is_same = bool(recorded) and isinstance(recorded[-1], dict) and recorded[-1].get("sha256") == digest
            text = stream.read() if is_same else b""
    except FileNotFoundError:
        verdict = "missing" if recorded else "none"
        return Checked("", name, verdict, "it is not there" if recorded else "no evidence was collected yet"), None
    except OSError as error:
        return Checked("", name, "changed", error.strerror or str(error)), None
    if not recorded:
        return Checked("", name, "extra", "the record does not know it"), None
    if not is_same:
        return Checked("", name, "changed", "its SHA-256 is not the one in the record"), None
    return Checked("", name, "whole", "as the record has it"), json.loads(text)


def _bundle(host: str, incident_id: str, bundle: dict[str, Any], folder: Path, said: Any) -> Checked:
    file = str(bundle["path"])
    try:
        with bundles.opened(folder / file) as stream:
            digest, size = bundles.sha256(stream)
            if (digest, size) != (bundle["sha256"], bundle["bytes"]):
                told = (
                    f"it has {size} bytes, and was {bundle['bytes']}"
                    if size != bundle["bytes"]
                    else "its SHA-256 differs"
                )
                return Checked(host, file, "changed", told)
            readable = zstd.is_here() or not bundles.is_zstd(stream)
            inside = bundles.look(stream, host, incident_id) if readable else bundles.Inside()
    except FileNotFoundError:
        return Checked(host, file, "missing", "it is not there")
    except OSError as error:
        return Checked(host, file, "changed", error.strerror or str(error))
    told = inside.told
    if not told and said is not None and digest not in _digests(said, host):
        told = "the manifest does not have it so"
    if told:
        return Checked(host, file, "changed", told)
    if not readable:
        return Checked(host, file, UNREAD, f"its SHA-256 is the one in the record, but {zstd.WHY_NOT} to look into it")
    return Checked(host, file, "whole", f"{size} bytes, {inside.members} parts{_lacks(bundle)}")


def _measured(row: Data, folder: Path) -> Checked:
    """Compare a file of what Prometheus measured with what the record has of it."""
    name = str(row["file"])
    try:
        with bundles.opened(folder / name) as stream:
            is_same = bundles.sha256(stream) == (row["sha256"], row["bytes"])
    except FileNotFoundError:
        return Checked("", name, "missing", "it is not there")
    except OSError as error:
        return Checked("", name, "changed", error.strerror or str(error))
    detail = f"{row['bytes']} bytes of Prometheus" if is_same else "its SHA-256 is not the one in the record"
    return Checked("", name, "whole" if is_same else "changed", detail)


def _digests(said: Any, host: str) -> set[str]:
    return {str(row.get("sha256")) for row in event_data.rows(said.get("hosts", {}).get(host, {}).get("bundles"))}


def _lacks(bundle: dict[str, Any]) -> str:
    counts = {key: len(event_data.texts(bundle.get(key))) for key in ("cut", "missing", "refused")}
    return "".join(f", {count} {key}" for key, count in counts.items() if count)


def _files(folder: Path) -> Iterator[str]:
    """Give what lies in the folder of evidence, however deep; links are files, and lead nowhere."""
    count = 0
    for here, folders, names in os.walk(folder):
        links = [name for name in folders if Path(here, name).is_symlink()]
        for name in sorted([*names, *links]):
            count += 1
            if count > _MOST_FILES:
                return
            yield os.path.relpath(Path(here, name), folder)


def judge(incident_id: str, checked: Sequence[Checked], broken: int | None) -> None:
    """Raise EvidenceChanged if anything is not as it came home, or the record's chain is broken at the event `broken`.

    Raise Partial if all of it is, as far as that can be told without zstd.
    """
    wrong = [
        f"{row.file or row.host}: {row.verdict}: {row.detail}" for row in checked if row.verdict not in (*WELL, UNREAD)
    ]
    if broken is not None:
        wrong.insert(0, f"the record is not as it was written from event {broken} on")
    if wrong:
        raise EvidenceChanged(
            f"{incident_id}: the evidence is not as it came home.",
            "\n".join([*wrong[:10], *([f"and {len(wrong) - 10} more"] if len(wrong) > 10 else [])]),
            f"leave all as it is, and compare it with a copy; incidentctl timeline {incident_id} says what came when",
        )
    unread = [row.file for row in checked if row.verdict == UNREAD]
    if unread:
        raise Partial(
            f"{incident_id}: {len(unread)} bundle(s) could not be looked into: {zstd.WHY_NOT}.",
            "Nothing was found changed: each bundle has the SHA-256 that the record has. Its parts were not compared.",
            zstd.FIX,
        )
