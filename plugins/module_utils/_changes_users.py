"""Users and groups that came, went or changed: by what /etc/passwd was before, which its tools keep beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ansible_collections.incidentctl.response.plugins.module_utils._change import Change, Window, change, some

FILES = ("passwd", "group", "shadow", "gshadow")
_LIMIT = 4 << 20
_TOGETHER_S = 5  # useradd writes all of these files


def look(window: Window, etc: Path = Path("/etc")) -> list[Change]:
    """Return what changed of users and groups within the window, as far as it can be told: each file knows one step back.

    Raise OSError if the list of users cannot be read.
    """
    times = {name: (etc / name).stat().st_mtime for name in FILES if (etc / name).exists()}
    found = [
        told for name in ("passwd", "group") if window.holds(times.get(name, 0)) for told in _lists(etc, name, times)
    ]
    secret = times.get("shadow", 0)
    if window.holds(secret) and all(abs(secret - times.get(name, 0)) > _TOGETHER_S for name in ("passwd", "group")):
        found.append(change("user", "shadow", "had a password changed", secret, _whose(etc), path=str(etc / "shadow")))
    return found


def _lists(etc: Path, name: str, times: dict[str, float]) -> Iterator[Change]:
    what = "user" if name == "passwd" else "group"
    now, before = _rows(etc / name), _rows(etc / f"{name}-")
    at, path = times[name], str(etc / name)
    told = []
    if before:
        told += [f"got {what} {one}" for one in now if one not in before]
        told += [f"lost {what} {one}" for one in before if one not in now]
        told += [_changed(what, one, before[one], now[one]) for one in now if before.get(one, now[one]) != now[one]]
    for text in told[:10] or [f"had {path} changed"]:
        yield change("user", text, text, at, path=path)


def _changed(what: str, name: str, before: list[str], now: list[str]) -> str:
    if what == "user" or len(now) < 4 or len(before) < 4:
        return f"had {what} {name} changed"
    came, went = (
        sorted(set(a.split(",")) - set(b.split(",")) - {""}) for a, b in ((now[3], before[3]), (before[3], now[3]))
    )
    if came:
        return f"got {some(came)} into group {name}"
    return f"lost {some(went)} from group {name}" if went else f"had group {name} changed"


def _whose(etc: Path) -> str:
    """Return of whom the password was changed, "" where that is not for us to read; never what it is."""
    try:
        now, before = _rows(etc / "shadow"), _rows(etc / "shadow-")
    except PermissionError:
        return ""
    names = [one for one in now if before.get(one, [])[1:2] != now[one][1:2]] if before else []
    return f"of {some(names)}" if names else ""


def _rows(path: Path) -> dict[str, list[str]]:
    try:
        with path.open("rb") as stream:
            lines = stream.read(_LIMIT).decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return {}
    return {row[0]: row for line in lines if (row := line.split(":"))[0]}
