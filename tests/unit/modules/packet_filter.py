"""A packet filter for tests of traffic rules, and what they ask of it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

LOGIN = "192.0.2.7 50000 192.0.2.1 2222"

# A packet filter that keeps its rules in a file: enough of iptables-save and iptables-restore --noflush. It knows bytes only.
FILTER = """#!{python} -IS
import pathlib, sys
here = pathlib.Path(__file__)
for stream in (sys.stdin, sys.stdout):
    stream.reconfigure(encoding="latin-1")
family = "6" if here.name.startswith("ip6") else "4"
table = here.with_name("table" + family + ("nft" if "-nft-" in here.name else ""))
lines = table.read_text("latin-1").splitlines() if table.exists() else []
if here.name.endswith("save"):
    counted = ["[7:420] " + l if l.startswith("-A") and "-c" in sys.argv else l for l in lines]
    print("*mangle", ":PREROUTING ACCEPT [0:0]", *counted, "COMMIT", sep="\\n")
    sys.exit()
if here.with_name("broken" + family).exists():
    sys.exit("iptables-restore: line 3 failed")
for line in sys.stdin.read().splitlines():
    word, _, rest = line.partition(" ")
    if line.startswith(":"):
        name = word[1:]
        lines = [l for l in lines if not l.startswith((":" + name + " ", "-A " + name + " "))] + [line]
    elif word == "-A":
        lines.append(line)
    elif word == "-I":
        chain, _one, rule = rest.split(" ", 2)
        lines.append("-A " + chain + " " + rule)
    elif word == "-D":
        lines.remove("-A " + rest)
    elif word == "-F":
        lines = [l for l in lines if not l.startswith("-A " + rest + " ")]
    elif word == "-X":
        lines = [l for l in lines if not l.startswith(":" + rest + " ")]
table.write_text("".join(l + "\\n" for l in lines), "latin-1")
"""


def second(tools: Path) -> None:
    """Put a second packet filter beside the first, which iptables could mean as well."""
    for family in ("ip", "ip6"):
        for verb in ("save", "restore"):
            program = tools / f"{family}tables-nft-{verb}"
            program.write_text(FILTER.format(python=sys.executable))
            program.chmod(0o755)


def table(tools: Path, family: str = "4") -> list[str]:
    path = tools / f"table{family}"
    return path.read_text().splitlines() if path.exists() else []


def row(answer: dict[str, Any]) -> tuple[str, str]:
    (only,) = answer["incident"]["actions"]
    return only["outcome"], only["summary"]


def wait_until_gone(*paths: Path) -> None:
    deadline = time.monotonic() + 40  # of a busy machine
    while any(path.exists() for path in paths) and time.monotonic() < deadline:
        time.sleep(0.05)
