"""A systemd, as small as can be: units are in a file, calls that change something in another."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

# `start` brings up what a unit requires and wants, `stop` takes down what requires it, as systemd does; a unit that is `deaf`
# goes on deactivating until it is killed, and one that is `crashing` lives another life whenever it is looked at.
_PROGRAM = r"""#!{python}
import fnmatch, json, pathlib, sys, time
home, words = pathlib.Path({home!r}), sys.argv[1:]
state = home / "units.json"
units = json.loads(state.read_text())
verb, flags = words[0], [word for word in words[1:] if word.startswith("--")]
wanted = [word for word in words[1:] if not word.startswith("--")]

def note():
    with (home / "calls").open("a") as calls:
        calls.write(" ".join([verb, *[flag for flag in flags if flag not in ("--", "--no-block")], *wanted]) + "\n")

def reverse(name, *keys):
    return [other for other, unit in units.items() if any(name in unit.get(key, []) for key in keys)]

def show(name):
    unit = units.get(name, {{"LoadState": "not-found"}})
    said = {{"Id": name, "LoadState": "loaded", "ActiveState": "inactive", "CanStart": "yes", "Result": "success", **unit}}
    if said.get("InvocationID") == "crashing":
        said["InvocationID"] = str(time.monotonic_ns())
    if said["LoadState"] != "loaded":
        said["CanStart"] = "no"
    said["RequiredBy"], said["BoundBy"] = reverse(name, "Requires"), reverse(name, "BindsTo")
    said["TriggeredBy"], said["UpheldBy"] = reverse(name, "Triggers"), reverse(name, "Upholds")
    for key, value in said.items():
        if key not in ("deaf", "broken"):
            print(f"{{key}}={{' '.join(value) if isinstance(value, list) else value}}")

def start(name, alone):
    unit = units[name]
    if unit.get("ActiveState") == "active":
        return
    unit["ActiveState"] = "failed" if unit.get("broken") else "active"
    for other in [] if alone else [*unit.get("Requires", []), *unit.get("Wants", []), *unit.get("BindsTo", [])]:
        start(other, alone)

def stop(name):
    if units[name].get("ActiveState", "inactive") in ("active", "activating"):
        units[name]["ActiveState"] = "deactivating" if units[name].get("deaf") else "inactive"
    for other in reverse(name, "Requires", "BindsTo"):
        stop(other)

if verb == "show":
    for place, name in enumerate(wanted):
        if "@." in name:
            sys.exit(f"Failed to get properties: Unit name {{name}} is neither a valid invocation ID nor unit name.")
        print("" if place else "", end="\n" if place else "")
        show(name)
elif verb == "list-units":
    print("\n".join(f"{{name}} loaded active running x" for name in units
        if fnmatch.fnmatch(name, wanted[0]) and "@." not in name))
elif verb == "list-unit-files":
    print("\n".join(f"{{name}} static -" for name in units if name == wanted[0]))
elif verb == "reset-failed":
    note()
elif verb in ("start", "stop", "kill", "restart"):
    note()
    for name in wanted:
        if name not in units:
            sys.exit(f"Failed to {{verb}} {{name}}: Unit {{name}} not loaded.")
        if verb in ("stop", "restart"):
            stop(name)
        if verb == "kill":
            units[name]["ActiveState"] = "failed"
        if verb in ("start", "restart"):
            start(name, any("ignore-requirements" in flag for flag in flags))
    state.write_text(json.dumps(units))
    bad = [name for name in wanted if verb == "start" and units[name]["ActiveState"] != "active"]
    if bad:
        sys.exit(f"Job for {{bad[0]}} failed.")
"""


class Systemd:
    """A host with these units alone."""

    def __init__(self, home: Path) -> None:
        """Install the program; there are no units yet."""
        self.home, self.state = home, home / "units.json"
        program = home / "bin" / "systemctl"
        program.parent.mkdir(exist_ok=True)
        program.write_text(_PROGRAM.format(python=sys.executable, home=str(home)))
        program.chmod(0o755)
        self.state.write_text("{}")

    def has(self, name: str, state: str = "active", **more: Any) -> None:
        """Add a unit, or change it; lists are of other units."""
        units = json.loads(self.state.read_text())
        units[name] = {**units.get(name, {}), "ActiveState": state, **more}
        self.state.write_text(json.dumps(units))

    def up(self) -> list[str]:
        """Return the units that are active."""
        units = json.loads(self.state.read_text())
        return [name for name, unit in units.items() if unit.get("ActiveState") == "active"]

    def calls(self) -> list[str]:
        """Return all commands that changed something."""
        calls = self.home / "calls"
        return calls.read_text().splitlines() if calls.exists() else []
