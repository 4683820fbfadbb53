"""Collect what a host knows, the most volatile first, into one bundle: the work of role log_collection.

A host in an incident may be hostile: logs are opened without following links, read up to a cap, and copied
byte for byte. The manifest in the bundle says of every part where it came from, its SHA-256 and its size,
and of what is not there why not.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import pwd
import re
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _capture, _compose, _ledger, _volatile
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import services_of_host
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result, action, result
from ansible_collections.incidentctl.response.plugins.module_utils._regular_file import NotRegularError, open_regular
from ansible_collections.incidentctl.response.plugins.module_utils._volatile import Part

CAPABILITY = "log_collection"
_HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PREFIX = "incidentctl-evidence-"
_RANDOM = 8  # characters that mkdtemp adds
# The first with room is taken: /tmp is often memory, which an incident has other uses for.
_WORK_PLACES = ("/var/tmp", "/tmp", "/dev/shm")  # noqa: S108 - mkdtemp makes a folder of its own there, 0700


def run(params: dict[str, Any], check_mode: bool) -> Result:
    """Write the bundle into a folder that only the login user can enter; say where, and what is in it.

    The role brings it home and removes it. `changed` is never true: nothing stays on the host.
    """
    if params["state"] == "undelivered":
        return _undelivered(params, check_mode)
    if not _HOST_NAME.fullmatch(params["host_name"]):
        refusal = (
            f"the inventory name {params['host_name']!r} cannot name a folder: it must be letters, digits,"
            " '.', '_' and '-', and begin with a letter or digit"
        )
        return result(CAPABILITY, [action("bundle", "refused", refusal)])
    started = time.monotonic()
    services = services_of_host(params)
    parts = [part._replace(name=f"volatile/{n:02d}-{part.name}") for n, part in enumerate(_volatile.parts(), 1)]
    parts += [part for service in services for part in _logs(service, params)]
    if check_mode:
        plan = f"would collect {len(parts)} parts: " + ", ".join(part.origin for part in parts)
        return _unchanged(result(CAPABILITY, [action("bundle", "done", plan)]))
    with _work_folder(_name(params), 2 * params["max_bytes"]) as folder:
        bundle = folder / "evidence.tar.gz"
        manifest = _write_bundle(bundle, parts, params)
        file = {"path": params["dest"], "sha256": _sha256(bundle), "bytes": bundle.stat().st_size}
        _give_to_login_user(params["login_user"], bundle, folder)
    seconds = round(time.monotonic() - started, 3)
    return _collected(manifest, file, str(bundle), seconds)


def _collected(manifest: dict[str, Any], file: dict[str, Any], bundle: str, seconds: float) -> Result:
    members = manifest["members"]
    size = sum(member["bytes"] for member in members)
    told = {key: [f"{row['origin']}: {row['reason']}" for row in manifest[key]] for key in ("refused", "missing")}
    summary = f"{len(members)} parts, {size} bytes"
    summary += "".join(f", {len(rows)} {key}" for key, rows in told.items() if rows)
    answer = result(
        CAPABILITY,
        [action("bundle", "done", summary)],
        facts={"members": len(members), "bytes": size, **told, "seconds": seconds},
        files=[file],
    )
    return _unchanged({**answer, "bundle": bundle, "warnings": [f"refused {text}" for text in told["refused"]]})


def _unchanged(answer: Result) -> Result:
    return {**answer, "changed": False}


def _logs(service: dict[str, Any], params: dict[str, Any]) -> Iterator[Part]:
    for number, log in enumerate(service.get("logs", []), 1):
        kind = log["kind"]
        label = Path(str(log.get("path") or log.get("unit") or kind)).name
        name = f"logs/{service['name']}/{number:02d}-{re.sub(r'[^A-Za-z0-9._-]', '_', label)[:100]}"
        if kind == "file":
            yield _file(name, str(log["path"]), params["lines"])
        elif kind == "journal":
            yield _journal(name, str(log["unit"]), params)
        else:
            yield from _containers(name, service, params)


def _file(name: str, path: str, lines: int) -> Part:
    def read(cap: int) -> tuple[bytes, bool]:
        if not path.startswith("/"):
            raise NotRegularError("its path is not absolute")
        with open_regular(Path(path)) as stream:
            size = os.fstat(stream.fileno()).st_size
            stream.seek(max(0, size - cap))
            # Not to its end: a log that grows as fast as we read has none.
            tail = stream.read(cap)
        kept = _last_lines(tail, lines)
        return kept, size > len(kept)

    return Part(name, path, read)


def _journal(name: str, unit: str, params: dict[str, Any]) -> Part:
    argv = ["journalctl", "--no-pager", "--quiet", "--utc", "--output=short-iso-precise", f"--unit={unit}"]
    if params["lines"]:
        argv.append(f"--lines={params['lines']}")
    if params["since_s"]:
        argv.append(f"--since=@{int(time.time()) - params['since_s']}")
    if shutil.which("journalctl") is None:
        return _skipped(name, f"journal of {unit}", "this host has no journalctl")
    return Part(name, f"journal of {unit}", _volatile.said_by(argv))


def _containers(name: str, service: dict[str, Any], params: dict[str, Any]) -> Iterator[Part]:
    try:
        logs = _compose.logs(service)
    except OSError as error:
        yield _skipped(name, f"compose logs of {service['name']}", str(error))
        return
    for log in logs:
        label = re.sub(r"[^A-Za-z0-9._-]", "_", str(log))[:100]
        yield Part(f"{name}-{label}", f"container {log}", _said_by_container(log, params))


def _said_by_container(log: _compose.ContainerLog, params: dict[str, Any]) -> _volatile.Read:
    argv = log.argv(params["lines"], params["since_s"])
    return lambda cap: _capture.capture(argv, cap, merged=True)


def _skipped(name: str, origin: str, reason: str) -> Part:
    def read(_cap: int) -> tuple[bytes, bool]:
        raise FileNotFoundError(reason)

    return Part(name, origin, read)


def _last_lines(text: bytes, lines: int) -> bytes:
    """Return the last `lines` lines of `text`; all of it when `lines` is 0."""
    start = len(text) - text.endswith(b"\n")
    for _ in range(lines):
        start = text.rfind(b"\n", 0, start)
        if start < 0:
            return text
    return text[start + 1 :] if lines else text


def _write_bundle(bundle: Path, parts: list[Part], params: dict[str, Any]) -> dict[str, Any]:
    """Write all parts that can be read, and last the manifest, which comes back. The cap counts them unpacked."""
    manifest: dict[str, Any] = {
        "format": 1,
        "host": params["host_name"],
        "incident": params["incident_id"],
        "at": _ledger.now(),
        "members": [],
        "refused": [],
        "missing": [],
    }
    # Half of what is free at most: evidence must not be what fills the disk.
    left = min(params["max_bytes"], shutil.disk_usage(bundle.parent).free // 2)
    descriptor = os.open(bundle, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream, tarfile.open(fileobj=stream, mode="w:gz", compresslevel=3) as tar:
        for part in parts:
            left -= _add_part(tar, part, manifest, min(left, params["max_file_bytes"]))
        _add(tar, "manifest.json", json.dumps(manifest, indent=1).encode())
    return manifest


def _add_part(tar: tarfile.TarFile, part: Part, manifest: dict[str, Any], cap: int) -> int:
    """Add one part to the bundle and its row to the manifest; return how many bytes it took."""
    at = _ledger.now()
    try:
        content, cut = _read(part, cap)
    except (NotRegularError, ValueError) as error:
        manifest["refused"].append({"origin": part.origin, "reason": str(error)})
        return 0
    except OSError as error:
        manifest["missing"].append({"origin": part.origin, "reason": error.strerror or str(error)})
        return 0
    _add(tar, part.name, content)
    row = {"name": part.name, "origin": part.origin, "at": at, "bytes": len(content), "cut": cut}
    manifest["members"].append({**row, "sha256": hashlib.sha256(content).hexdigest()})
    return len(content)


def _read(part: Part, cap: int) -> tuple[bytes, bool]:
    if cap <= 0:
        raise OSError("the bundle was full before it")
    return part.read(cap)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = len(content), int(time.time()), 0o600
    tar.addfile(member, io.BytesIO(content))


def work_place(room: int) -> str:
    """Return the first place where `room` bytes are free.

    A full disk is what incidents are made of: where no place has that room, the one with most is taken.
    """
    free = {place: shutil.disk_usage(place).free for place in _WORK_PLACES if os.access(place, os.W_OK)}
    place = next((name for name, size in free.items() if size >= room), None)
    return place or max(free, key=lambda name: free[name], default=tempfile.gettempdir())


def _name(params: dict[str, Any]) -> str:
    """Return how the folders of an incident's bundles are named; a machine may be several hosts of an inventory.

    The folder that they are meant for is in it: two people may collect by hand, both for the incident `adhoc`.
    """
    incident = re.sub(r"[^A-Za-z0-9._-]", "_", params["incident_id"])[:64]
    home = hashlib.sha256(os.fsencode(Path(params["dest"]).parent)).hexdigest()[:8]
    return f"{_PREFIX}{incident}-{params['host_name'][:64]}-{home}-"


@contextlib.contextmanager
def _work_folder(name: str, room: int) -> Iterator[Path]:
    """Make a fresh folder 0700 where `room` bytes are free; it stays, to be fetched from, unless we fail.

    One of that name is left from a run that was cut off before it brought its bundle home, and goes first.
    """
    for place in _WORK_PLACES:
        for earlier in Path(place).glob(name + "?" * _RANDOM):
            shutil.rmtree(earlier, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=name, dir=work_place(room)))
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _give_to_login_user(login_user: str | None, *paths: Path) -> None:
    """Let the user that Ansible logs in as own the bundle, so that it is fetched without becoming root."""
    if os.geteuid() != 0:
        return
    user = _login_user(login_user)
    for path in paths if user else ():
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def _login_user(named: str | None) -> pwd.struct_passwd | None:
    """Return who logged in: the user that is named, whom sudo remembers, or whom the kernel does (su, doas)."""
    for name in (named, os.environ.get("SUDO_USER")):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name or "")
    with contextlib.suppress(KeyError, OSError, ValueError):
        return pwd.getpwuid(int(Path("/proc/self/loginuid").read_text(encoding="ascii")))
    return None


def _undelivered(params: dict[str, Any], check_mode: bool) -> Result:
    """Remove a bundle that did not come home, and say so: an incident must not believe that it has it."""
    folder = Path(params["bundle"]).parent
    ours = folder.name.startswith(_PREFIX) and str(folder.parent) in (*_WORK_PLACES, tempfile.gettempdir())
    if ours and not check_mode:
        shutil.rmtree(folder, ignore_errors=True)
    summary = f"the bundle did not reach {params['dest']}: {params['reason']}"
    return _unchanged(result(CAPABILITY, [action("bundle", "failed", summary)]))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()
