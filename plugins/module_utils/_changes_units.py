"""What systemd says of the services' units: when they were started, ended or failed, and where they are defined."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _capture
from ansible_collections.incidentctl.response.plugins.module_utils._change import Change, Window, change

_ASKED = (
    "Id", "LoadState", "ActiveState", "Result", "NRestarts", "InactiveExitTimestampMonotonic", "InactiveEnterTimestampMonotonic",
    "ExecMainStatus", "FragmentPath", "DropInPaths", "EnvironmentFiles", "NeedDaemonReload", "ExecStart",
    "WorkingDirectory", "User", "Group", "SupplementaryGroups",
)  # fmt: skip
_LIMIT, _ANSWER_S = 1 << 20, 3.0
_SINCE_BOOT_S = 120  # what is started within so long of a boot was started by it


class Unit(NamedTuple):
    """A unit of a service: what systemd says of it, and of which service it is."""

    service: str
    said: dict[str, str]

    @property
    def files(self) -> list[str]:
        """The files that define it."""
        environment = [word for word in self.said.get("EnvironmentFiles", "").split() if word.startswith("/")]
        return [
            path for key in ("FragmentPath", "DropInPaths") for path in self.said.get(key, "").split()
        ] + environment

    @property
    def user(self) -> str:
        """As whom it runs; "" for root, and where nobody knows before it runs."""
        return self.said.get("User", "")

    @property
    def groups(self) -> tuple[str, list[str]]:
        """The group that it is given instead of its user's own, "" if none, and those that it has besides."""
        return self.said.get("Group", ""), self.said.get("SupplementaryGroups", "").split()

    @property
    def program(self) -> str:
        """What it runs, "" if that is not told."""
        said = self.said.get("ExecStart", "").partition("path=")[2]
        return said.partition(" ;")[0].strip()


def ask(services: Iterable[dict[str, Any]]) -> list[Unit]:
    """Return the units of these services, those of a template too. Raise OSError if systemd does not answer."""
    wanted = {str(service["unit"]).replace("@.", "@*."): service["name"] for service in services if "unit" in service}
    if not wanted:
        return []
    argv = ["systemctl", "show", f"--property={','.join(_ASKED)}", "--", *wanted]
    said, _cut = _capture.capture(argv, _LIMIT, _ANSWER_S)
    blocks = [
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        for block in said.decode("utf-8", "replace").split("\n\n")
    ]
    return [Unit(_whose(block["Id"], wanted), block) for block in blocks if block.get("LoadState") == "loaded"]


def look(units: Iterable[Unit], window: Window, booted_at: float) -> Iterator[Change]:
    """Give what was started, ended or failed within the window, but for what the boot of the host started."""
    for unit in units:
        name, state = unit.said["Id"], unit.said.get("ActiveState")
        failed = state == "failed"
        running = state in ("active", "activating", "reloading")
        at = _moment(unit.said.get("InactiveExitTimestampMonotonic" if running else "InactiveEnterTimestampMonotonic"))
        if at is None or not window.holds(at) or (running and at - booted_at < _SINCE_BOOT_S):
            continue
        text = f"had {name} {'started' if running else 'fail' if failed else 'stopped'}"
        restarts = int(unit.said.get("NRestarts") or 0)
        detail = [f"systemd has restarted it {restarts} times"] if restarts else []
        if failed:
            detail.insert(0, f"{unit.said.get('Result')}, exit status {unit.said.get('ExecMainStatus')}")
        yield change("restart", f"{name} {state}", text, at, "; ".join(detail), unit.service)


def unread(units: Iterable[Unit]) -> dict[str, str]:
    """Return the files of units that systemd has not read since they were changed, and why that matters."""
    old = [unit for unit in units if unit.said.get("NeedDaemonReload") == "yes"]
    return {path: "systemd has not read it yet" for unit in old for path in unit.files}


def _whose(unit: str, wanted: dict[str, str]) -> str:
    if unit in wanted:
        return wanted[unit]
    prefix, at, rest = unit.partition("@")
    return wanted.get(f"{prefix}{at}*.{rest.rpartition('.')[2]}", prefix)


def _moment(monotonic: str | None) -> float | None:
    """Given a time in µs since the boot, return it in seconds since 1970, by the clock as it is now."""
    if not (monotonic or "").isdigit() or monotonic == "0":
        return None
    return time.time() - time.monotonic() + int(str(monotonic)) / 1e6
