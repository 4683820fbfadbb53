"""Units of systemd: which there are, how they are, and to which others they lead."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _capture, _command

# What is stopped, or comes, together with a unit, as systemd names it.
BRINGS_DOWN = ("RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf", "PropagatesStopTo")
PULLS_IN = ("Requires", "Wants", "BindsTo", "Upholds")
_ASKED = (
    "Id", "InvocationID", "LoadState", "ActiveState", "SubState", "Result", "CanStart", "Transient", "Type", "RemainAfterExit",
    "ControlGroup",
    "FragmentPath", "DropInPaths", "NeedDaemonReload", "Triggers", "TriggeredBy", "UpheldBy", *BRINGS_DOWN, *PULLS_IN,
)  # fmt: skip
TRIGGERS = (".socket", ".timer", ".path", ".automount")
_MISSING = ("not-found", "bad-setting", "error")
_ANSWER_LIMIT = 8 << 20


class UnitError(OSError):
    """A unit is not there, or did not do what it was told; the message says which and what systemd said."""


class Unit(NamedTuple):
    """A unit, as systemd says it is."""

    name: str
    said: dict[str, str]

    @property
    def state(self) -> str:
        """Whether it is active, activating, inactive, failed …"""
        return self.said.get("ActiveState", "unknown")

    @property
    def is_down(self) -> bool:
        """Whether nothing of it runs, nor will by itself: one that is between two restarts is not down."""
        return self.state in ("inactive", "failed")

    @property
    def runs_once(self) -> bool:
        """Whether it is down again when it has done its work."""
        return self.said.get("Type") == "oneshot" and self.said.get("RemainAfterExit") != "yes"

    @property
    def is_trigger(self) -> bool:
        """Whether it waits for something, to start another."""
        return self.name.endswith(TRIGGERS)

    def names(self, *keys: str) -> list[str]:
        """Return the units that it names under any of `keys`."""
        return [name for key in keys for name in self.said.get(key, "").split()]


def is_running(unit: str) -> bool:
    """Say whether a unit, or one of a template's instances, runs. Raise UnitError if there is none of that name."""
    return any(require(each).state in ("active", "activating", "reloading", "refreshing") for each in own(unit))


def names(unit: str) -> list[str]:
    """Return the unit; of a template (`worker@.service`) those of its instances that systemd knows of."""
    if "@." not in unit:
        return [unit]
    said = _ask("list-units", "--all", "--plain", "--no-legend", "--full", "--", unit.replace("@.", "@*."))
    found = [line.split()[0] for line in said.splitlines() if line.strip()]
    if not found:
        _require_template(unit)
    return found


def look(units: Any) -> list[Unit]:
    """Ask systemd how units are, in this order, each once. Raise UnitError if it cannot tell."""
    wanted = list(dict.fromkeys(units))
    if not wanted:
        return []
    found = {}
    for block in _ask("show", f"--property={','.join(_ASKED)}", "--", *wanted).split("\n\n"):
        said = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" in said:
            found[said["Id"]] = Unit(said["Id"], said)
    return list(found.values())


def own(unit: str) -> list[Unit]:
    """Return the unit of a service, of a template its instances."""
    return look(names(unit))


def require(unit: Unit) -> Unit:
    """Return a unit. Raise UnitError if it is not there, or its file cannot be used."""
    if unit.said.get("LoadState") in _MISSING:
        raise UnitError(f"unit {unit.name}: {unit.said['LoadState']}")
    return unit


def _require_template(unit: str) -> None:
    finished = _command.run(["systemctl", "list-unit-files", "--no-legend", "--full", "--", unit])
    if not finished.said:
        raise UnitError(f"unit {unit}: not-found")


def closure(units: list[Unit], keys: tuple[str, ...], fits: Callable[[str], bool] = bool) -> list[Unit]:
    """Return the units, and all that they lead to by `keys`, step by step, as far as the names fit."""
    found = {each.name: each for each in units}
    fresh = list(units)
    while fresh:
        fresh = [
            each
            for each in look(n for unit in fresh for n in unit.names(*keys) if n not in found and fits(n))
            if each.name not in found
        ]
        found.update({each.name: each for each in fresh})
    return list(found.values())


def _ask(verb: str, *words: str) -> str:
    try:
        return _capture.capture(["systemctl", verb, *words], _ANSWER_LIMIT)[0].decode("utf-8", "replace")
    except OSError as error:
        raise UnitError(str(error)) from error
