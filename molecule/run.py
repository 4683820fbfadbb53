"""Run the scenarios; each must go red where its act is taken out, and where its lift is.

run.py [SCENARIO…]     all, when none is named; `make molecule` does that

One host serves all, one after the other: it is reset, not rebuilt, and removed in the end. So that no host is broken
twice, a scenario runs in parts: up to its act, where verify must go red; up to its lift, where the second verify must;
and to its end. Exit code 0: all is as it must be.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
STATE = REPOSITORY / ".cache" / "molecule"  # of host.py, which removes it with the host
CONFIG = REPOSITORY / ".config" / "molecule" / "config.yml"
NAMES = sorted(path.parent.name for path in HERE.glob("*/molecule.yml") if path.parent.name != "default")


def parts(sequence: list[str], lifts: bool) -> list[tuple[list[str], str]]:
    """Return the steps of each part, and the step after them that must go red, empty if none must."""
    broken, act, lift = (sequence.index(step) for step in ("prepare", "converge", "side_effect"))
    before = (sequence[broken:act], "verify")
    if not lifts:
        return [before, (sequence[act:], "")]
    return [before, (sequence[act:lift], "verify lifted.yml"), (sequence[lift:], "")]


def play(name: str, steps: list[str]) -> tuple[list[tuple[str, str]], str]:
    """Let molecule take the steps of a scenario; return each that it took with how it went, and all that was said."""
    given = STATE / "steps.yml"
    given.write_text(json.dumps({"scenario": {"test_sequence": steps}}))
    configs = [word for config in (CONFIG, given) for word in ("--base-config", str(config))]
    # `destroy` is a step like others; told never to, molecule leaves the host to the next part as a red step left it.
    destroy = "always" if "destroy" in steps else "never"
    with subprocess.Popen(
        [
            str(Path(sys.executable).with_name("molecule")),
            *(*configs, "test", "--scenario-name", name, "--destroy", destroy, "--no-command-borders"),
        ],
        cwd=REPOSITORY,
        env={
            **os.environ,
            "MOLECULE_GLOB": "molecule/*/molecule.yml",
            "MOLECULE_EPHEMERAL_DIRECTORY": str(STATE / name),
            "NO_COLOR": "1",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that it can be ended with all that it started
    ) as molecule:
        try:
            said, _nothing = molecule.communicate()
        except BaseException:
            os.killpg(molecule.pid, signal.SIGKILL)
            raise
    said = re.sub(r"\x1b\[[0-9;]*m", "", said)
    return re.findall(rf"^[A-Z]+ +\[{name} [>➜] (\w+)\] Executed: (\w+)", said, re.MULTILINE), said


def judge(name: str) -> str:
    """Run a scenario; return what is wrong with it, empty if nothing is."""
    sequence = yaml.safe_load(CONFIG.read_text())["scenario"]["test_sequence"]
    variables = yaml.safe_load((HERE / name / "molecule.yml").read_text())["provisioner"]["inventory"]["group_vars"]
    for steps, red in parts(sequence, lifts=bool(variables["all"].get("lifts"))):
        taken, said = play(name, [*steps, red] if red else steps)
        wanted = [(step.split()[0], "Successful") for step in steps] + [("verify", "Failed")] * bool(red)
        if taken != wanted:
            told = (", ".join(f"{step} {how}" for step, how in of) for of in (taken, wanted))
            return f"{said}\n{name}: {next(told)}\n{name}, as it must be: {next(told)}"
        # Red must be what was seen on the host, and not that it was out of reach.
        if red and re.findall(r"unreachable=(\d+) +failed=(\d+)", said)[-1] != ("0", "1"):
            return f"{said}\n{name}: {red} is red for another reason than what it saw"
    return ""


def host(verb: str) -> bool:
    """Start the shared host, remove it, or show its journal; say whether that went well."""
    return subprocess.run([sys.executable, str(HERE / "host.py"), verb], check=False).returncode == 0


def run(names: list[str]) -> int:
    """Run scenarios on a new host, say how long each took and what is wrong; return the exit code."""
    began, wrong = time.monotonic(), []
    if not host("start"):
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
    print(f"molecule: {len(names) - len(wrong)} of {len(names)} in {time.monotonic() - began:.0f} s", flush=True)
    return 1 if wrong else 0


def main() -> int:
    """Run what is named, and remove the host however that ends; return the exit code."""
    names = sys.argv[1:] or NAMES
    if unknown := [name for name in names if name not in NAMES]:
        print(f"no such scenario: {', '.join(unknown)}. There are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    try:
        fcntl.flock(os.open(HERE, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)  # until this process ends
    except BlockingIOError:
        print("another run has the host that all scenarios share.\nFix: wait for its end", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(names)
    except KeyboardInterrupt:
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        host("down")


if __name__ == "__main__":
    sys.exit(main())
