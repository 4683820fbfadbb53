"""Commands of incidentctl, typed one after the other where light hosts can be reached."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.light_hosts import LightHosts

ROOT = Path(__file__).resolve().parents[1]
# The inventory is read once for all of them, and the program is started once: that takes seven tenths of the time of a
# command that looks at one host.
_COMMANDS = """
import contextlib, functools, io, json, sys
from incidentctl import ansible_setup
from incidentctl.cli import main
ansible_setup.read_inventory = functools.cache(ansible_setup.read_inventory)
for line in sys.stdin:
    sys.argv = ["incidentctl", *json.loads(line)]
    said, told, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):
        try:
            main()
        except SystemExit as end:
            code = end.code
    print(json.dumps([code or 0, said.getvalue(), told.getvalue()]), flush=True)
"""


class Typed:
    """Somebody who types commands in a folder with an incidentctl.yml."""

    def __init__(self, hosts: LightHosts, folder: Path) -> None:
        """Start the program; `end` ends it."""
        env = {**os.environ, "PYTHONPATH": str(ROOT / "driver"), "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp")}
        argv = hosts.beside(sys.executable, "-c", _COMMANDS)
        self._process = subprocess.Popen(
            argv, cwd=folder, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def run(self, *words: str) -> tuple[int, str, str]:
        """Run a command; return its exit code, its data, and what it said to a person."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([*words, "--config", "incidentctl.yml"]) + "\n")
        self._process.stdin.flush()
        code, data, said = json.loads(self._process.stdout.readline())
        return code, data, said

    def end(self) -> None:
        """Let the last command come to its end."""
        self._process.communicate()
