"""The configuration of a host and its services as parts of the evidence: what changes least, so it is read last.

Unit files, compose files, what the catalogue names, and a short list of /etc. Never a password or a private key.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

from ansible_collections.incidentctl.response.plugins.module_utils import _log_tail, _parallel, _untrusted_path
from ansible_collections.incidentctl.response.plugins.module_utils._evidence_logs import safe
from ansible_collections.incidentctl.response.plugins.module_utils._evidence_part import (
    Allowance,
    Content,
    Part,
    left_out,
)
from ansible_collections.incidentctl.response.plugins.module_utils._regular_file import NotRegularError

FILES = 1000  # of one folder at most; and folders in it
_ENTRIES = 2000  # of one folder, with links
_DEPTH = 8
_FILE_BYTES = 1 << 20
_LOOK_S = 10.0
_HOST = (
    "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/fstab", "/etc/crontab", "/etc/cron.d",
    "/etc/sysctl.conf", "/etc/sysctl.d", "/etc/os-release", "/etc/passwd", "/etc/group",
)  # fmt: skip
_UNITS = ("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
_COMPOSE = (".env", "compose.override.yml", "compose.override.yaml", "docker-compose.override.yml")
_SECRET_NAMES = re.compile(
    r"(?i)g?shadow-?|id_(?:rsa|dsa|ecdsa|ed25519).*|ssh_host_.*_key|.*\.(?:key|p12|pfx|jks|keystore|kdbx|gpg)"
)
_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY")


def parts(services: list[dict[str, Any]]) -> list[Part]:
    """Given this host's services, return their configuration and the host's."""
    wanted = [(service["name"], path, False) for service in services for path in service.get("config", [])]
    implied = _parallel.each(lambda service: list(_implied(service)), services, _LOOK_S)
    for service, its in zip(services, implied):
        # Where they lie on a disk that does not answer, each path that is known beforehand is tried, and said to be late.
        paths = its if its is not None else [str(service[key]) for key in ("compose_file",) if key in service]
        wanted += [(service["name"], path, True) for path in paths]
    wanted += [("host", path, True) for path in _HOST]
    wanted = list({each[1]: each for each in reversed(wanted)}.values())[::-1]  # each path once
    found = _parallel.each(lambda each: list(_of(*each)), wanted, _LOOK_S)
    late = OSError(f"it could not be looked at within {_LOOK_S:.0f} s")
    named: list[Part] = []
    for number, ((owner, path, _ours), its) in enumerate(zip(wanted, found), start=1):
        several = its if its is not None else [left_out(path, path, late)]
        for count, part in enumerate(several, start=1):
            order = (
                f"{number:02d}.{count:03d}" if len(several) > 1 else f"{number:02d}"
            )  # names may be alike once made safe
            label = f"configuration/{owner}/{order}-{safe(part.name.strip('/'))[-90:]}"
            named.append(part._replace(name=label))
    return named


def _implied(service: dict[str, Any]) -> Iterator[str]:
    """Give the files that say how a service is run: of its unit and what is dropped in, or beside its compose file."""
    if "unit" in service:
        unit = str(service["unit"])
        if "/" not in unit:
            for folder in _UNITS:
                yield from (f"{folder}/{name}" for name in _of_unit(unit, folder))
    if "compose_file" in service:
        file = Path(str(service["compose_file"]))
        yield str(file)
        yield from (str(file.with_name(name)) for name in _COMPOSE if os.path.lexists(file.with_name(name)))


def _of_unit(unit: str, folder: str) -> list[str]:
    base, at, rest = unit.partition("@")
    template = f"{base}@.{unit.rpartition('.')[2]}" if at and rest else unit
    names = dict.fromkeys((unit, template, f"{unit}.d", f"{template}.d"))
    return [name for name in names if os.path.lexists(f"{folder}/{name}")]


def _of(_owner: str, path: str, ours: bool) -> Iterator[Part]:
    """Give a file, or all files of a folder. `ours`: we chose it; it may be missing, and may be a link made by root."""
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            yield from _folder(path)
            return
    except FileNotFoundError:
        if ours:
            return
    except OSError:
        pass  # reading it says why
    yield _file(path, follow=ours)


def _folder(top: str) -> Iterator[Part]:
    waiting, count, seen, more = [(top, 0)], 0, 1, False
    while waiting:
        folder, depth = waiting.pop()
        try:
            names, is_cut = _entries(folder)
        except OSError as error:
            yield left_out(folder, folder, error)
            continue
        more |= is_cut
        for name, mode in names:
            path = f"{folder}/{name}"
            if stat.S_ISDIR(mode):
                within = depth < _DEPTH and seen < FILES
                more |= not within
                waiting += [(path, depth + 1)] if within else []
                seen += within
            elif count >= FILES:
                yield left_out(top, top, OSError(f"it holds more than {FILES} files: the rest was left"))
                return
            elif not stat.S_ISLNK(mode):  # what it leads to is read where that lies, if it belongs to the configuration
                count += 1
                yield _file(path, follow=False)
    if more:
        most = f"folders deeper than {_DEPTH}, more than {FILES} of them, or more than {_ENTRIES} entries in one"
        yield left_out(top, top, OSError(f"it has {most}: the rest was left"))


def _entries(folder: str) -> tuple[list[tuple[str, int]], bool]:
    """Return names and modes, sorted; of a folder with far too many only some, and True."""
    found, is_cut = [], False
    with _untrusted_path.open_folder(folder) as descriptor, os.scandir(descriptor) as entries:
        for number, entry in enumerate(entries):
            if number >= _ENTRIES:
                is_cut = True
                break
            with contextlib.suppress(FileNotFoundError):
                found.append((entry.name, os.stat(entry.name, dir_fd=descriptor, follow_symlinks=False).st_mode))
    return sorted(found), is_cut


def _file(path: str, follow: bool) -> Part:
    if _SECRET_NAMES.fullmatch(Path(path).name):
        return left_out(path, path, NotRegularError("by its name it holds passwords or a private key"))
    size = None
    with contextlib.suppress(OSError):
        size = min((Path(path).stat() if follow else Path(path).lstat()).st_size, _FILE_BYTES)
    return Part(path, path, _reader(path, follow), size)


def _reader(path: str, follow: bool) -> Callable[[Allowance], Content]:
    def read(allowance: Allowance) -> Content:
        with _untrusted_path.open_file(path, follow=follow) as stream:
            content = _log_tail.whole(stream, allowance._replace(bytes=min(allowance.bytes, _FILE_BYTES)))
        if _PRIVATE_KEY.search(content.bytes):
            raise NotRegularError("it holds a private key")
        return content

    return read
