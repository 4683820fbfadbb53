"""Play docs/workflow.md on the lab: run each command of its console blocks, and write down what it says.

`.venv/bin/python tools/tour.py`, right after `make lab`: what mon1's inbox has is shown as it is. It takes five minutes, and the
lab's own record of incidents, memory bank and status page begin anew. A block is

    ```console
    $ a command, as a person types it; a line that ends with \\ goes on
    what it says
    ```

Commands run in the order of the page, in one shell each, in the checkout. What a command says is written below it: both
streams, long lines cut, and `[exit code N]` where that is not 0. Nothing else of the page is touched.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "workflow.md"
BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^\$ (?:.*\\\n)*.*$", re.MULTILINE)
WIDTH = 150  # what a page shows without scrolling; the rest of a line is "…"
PATIENCE_S = 300
KEPT = tuple(
    ROOT / ".lab" / name for name in ("state", "memory_bank", "status_page")
)  # as tests/lab/incidentctl.yml has them


def answered(block: str) -> str:
    """Given a block, run its commands; return it with what they said."""
    return "".join(f"{command}\n{said(command[2:])}" for command in COMMAND.findall(block))


def said(command: str) -> str:
    """Run a command in the checkout; return what it said, ready for the page."""
    print(f"$ {command}", flush=True)
    own = {"INCIDENTCTL_CONFIG": "tests/lab/incidentctl.yml", "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env={**os.environ, **own, "NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    text = done.stdout.replace(f"{ROOT}/", "")
    lines = [line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…" for line in map(str.rstrip, text.splitlines())]
    if done.returncode:
        lines.append(f"[exit code {done.returncode}]")
    print("\n".join(lines), flush=True)
    return "".join(f"{line}\n" for line in lines)


def main() -> int:
    """Write the page anew; return the exit code."""
    for folder in KEPT:
        shutil.rmtree(folder, ignore_errors=True)
    PAGE.write_text(BLOCK.sub(lambda block: answered(block[0]), PAGE.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
