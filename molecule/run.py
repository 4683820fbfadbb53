"""Run the scenarios, each with its sabotage: with the act taken out, and with the lift taken out, verify must go red.

run.py [SCENARIO…]     all, when none is named; `make molecule` does that

One host serves all, one after the other: it is reset, not rebuilt. Exit code 0: all is as it must be.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
CONFIG = REPOSITORY / ".config" / "molecule" / "config.yml"
NAMES = sorted(path.parent.name for path in HERE.glob("*/molecule.yml") if path.parent.name != "default")


def test(name: str, *sabotage: str) -> tuple[str, str]:
    """Run `molecule test`, sabotaged or not; return the step that went red, empty if none did, and what was said."""
    configs = (str(CONFIG), *(str(HERE / f"sabotage_{act}.yml") for act in sabotage))
    bases = [word for config in configs for word in ("--base-config", config)]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("molecule")), *bases, "test", "-s", name, "--no-command-borders"],
        cwd=REPOSITORY,
        env={**os.environ, "MOLECULE_GLOB": "molecule/*/molecule.yml", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    red = re.search(r"[>➜] (\w+): Executed: Failed", said)
    return ("" if done.returncode == 0 else red.group(1) if red else "molecule"), said


def judge(name: str) -> str:
    """Run a scenario and its sabotage; return what is wrong with it, empty if nothing is."""
    red, said = test(name)
    if red:
        return f"{said}\n{name}: {red} is red"
    variables = yaml.safe_load((HERE / name / "molecule.yml").read_text())["provisioner"]["inventory"]["group_vars"]
    for act in ("converge", "lift") if variables["all"].get("lifts") else ("converge",):
        red, said = test(name, act)
        if red != "verify":
            return f"{said}\n{name}: {red or 'verify'} is {'red' if red else 'green'}, though {act} was taken out"
    return ""


def host(verb: str) -> bool:
    """Start the shared host, remove it, or show its journal; say whether that went well."""
    return subprocess.run([sys.executable, str(HERE / "host.py"), verb], check=False).returncode == 0


def main() -> int:
    """Run what is named, say how long each took and what is wrong; return the exit code."""
    names = sys.argv[1:] or NAMES
    if unknown := [name for name in names if name not in NAMES]:
        print(f"no such scenario: {', '.join(unknown)}. There are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    began, wrong = time.monotonic(), []
    if not host("up"):
        return 1
    for name in names:
        start = time.monotonic()
        problem = judge(name)
        if problem:
            print(problem)
            host("journal")
            wrong.append(name)
        print(
            f"molecule: {name:20} {'RED' if problem else 'as it must be':14} {time.monotonic() - start:5.0f} s",
            flush=True,
        )
    host("down")
    print(f"molecule: {len(names) - len(wrong)} of {len(names)} in {time.monotonic() - began:.0f} s", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
