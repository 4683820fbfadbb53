"""Releases as folders under one root, and a symlink `current` that points at one of them.

Like every kind of release: `current`, `plan`, `rehearse`, `go` and `go_forward`.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _control,
    _durable,
    _migrations,
    _release_history,
)
from ansible_collections.incidentctl.response.plugins.module_utils._natural import natural


class ReleaseError(OSError):
    """The releases of a service are not as they must be; the message says what is wrong with them."""


def current(service: dict[str, Any]) -> str:
    """Return the name of the release that `current` points at. Raise ReleaseError if it is none under root."""
    releases = service["releases"]
    link, root = Path(releases["current"]), Path(releases["root"])
    if not link.is_symlink():
        raise ReleaseError(f"{link} is not a symlink")
    target = link.parent / link.readlink()
    # A link to a link would tell a release by a name that is not its own.
    if os.path.realpath(target.parent) != os.path.realpath(root) or target.is_symlink():
        raise ReleaseError(f"{link} points at {link.readlink()}, which is no folder right under {root}")
    return target.name


def plan(service: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of going back, to `params["to"]` or the release before; `reason` if it cannot be done."""
    releases, name = service["releases"], service["name"]
    facts: dict[str, Any] = {"kind": "symlink", "from": None, "to": None, "why": None}
    facts.update(feasible=False, reason=None, deployed_at=None)
    facts.update(_migrations.undeclared("there is no release to compare with"))
    try:
        facts["from"] = current(service)
        facts["deployed_at"] = _deployed_at(releases)
        if params["to"]:
            facts.update(to=params["to"], why=_release_history.why_named(params, name, params["to"]))
        else:
            earlier = [one for one in _names(Path(releases["root"])) if natural(one) < natural(facts["from"])]
            facts["to"], facts["why"] = _release_history.choose(params, name, facts["from"], earlier, releases["root"])
        _check_candidate(releases, facts["from"], facts["to"])
    except OSError as error:
        return {**facts, "reason": str(error)}
    return {**facts, "feasible": True, **_schema(releases, facts["from"], facts["to"])}


def rehearse(service: dict[str, Any], to: str, check_mode: bool) -> None:
    """Try all of a rollback that changes nothing. Raise OSError, saying what would not work."""
    link = Path(service["releases"]["current"])
    if not check_mode:
        _link_beside(link, to, "rehearsal").unlink()
    elif not os.access(link.parent, os.W_OK | os.X_OK):
        raise ReleaseError(f"{link.parent} cannot be written")
    _control.is_running(service)


def go(service: dict[str, Any], _now: str, to: str) -> None:
    """Point `current` at a release, in one step that readers never see half done, and restart the service."""
    releases = service["releases"]
    if current(service) != to:
        _switch(Path(releases["current"]), to)
    _control.restart(service)


def go_forward(service: dict[str, Any], to: str) -> None:
    """Go to the release that a rollback came from: for a symlink, the same way."""
    go(service, current(service), to)


def _names(root: Path) -> list[str]:
    folders = [entry.name for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False)]
    return sorted((name for name in folders if not name.startswith(".")), key=natural)


def _check_candidate(releases: dict[str, Any], now: str, to: str) -> None:
    if to == now:
        raise ReleaseError(f"{to} is the current release")
    if to not in _names(Path(releases["root"])):
        raise ReleaseError(f"there is no release {to} in {releases['root']}")
    folder = Path(releases["root"]) / to
    if not os.access(folder, os.R_OK | os.X_OK):
        raise ReleaseError(f"release {to} cannot be read")
    if not any(folder.iterdir()):
        raise ReleaseError(f"release {to} is empty")


def _schema(releases: dict[str, Any], newer: str, older: str) -> dict[str, Any]:
    """Return `migrations` that the newer release has and the older has not, and `schema`, what they mean for it."""
    if "migrations" not in releases:
        return _migrations.undeclared("the service declares no folder of migrations")
    ahead, behind = (Path(releases["root"]) / name / releases["migrations"] for name in (newer, older))
    return _migrations.facts(_migrations.between(ahead, behind))


def _deployed_at(releases: dict[str, Any]) -> str:
    changed = Path(releases["current"]).lstat().st_mtime
    return datetime.datetime.fromtimestamp(changed, datetime.timezone.utc).isoformat(timespec="seconds")


def _switch(link: Path, to: str) -> None:
    # Relative or absolute, as the link was.
    draft = _link_beside(link, str(Path(link.readlink()).with_name(to)), "next")
    owner = link.lstat()
    with contextlib.suppress(PermissionError):
        os.lchown(draft, owner.st_uid, owner.st_gid)
    draft.replace(link)
    _durable.sync_folder(link.parent)


def _link_beside(link: Path, text: str, what: str) -> Path:
    # Named for what it is: a rehearsal waits for nobody, and must not get into the way of a switch.
    draft = link.with_name(f".{link.name}.incidentctl-{what}")
    draft.unlink(missing_ok=True)
    draft.symlink_to(text)
    return draft
