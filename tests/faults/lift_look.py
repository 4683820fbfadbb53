"""How a host looks, so that two looks can be compared: a program for the host's own Python, standard library only.

Its word is JSON: {folders, urls, state_dir, systemd, podman}. It prints a JSON object: section → lines.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

GONE_S = 10.0
_PASSING = re.compile(r"user@|user-runtime-dir@|session-|systemd-(hostnamed|timedated|localed|tmpfiles-clean|update-)")
# podman gives a container another address whenever it starts.
_OF_A_CONTAINER = re.compile(r"\b(10\.213\.79\.|fd1c:7e4b:9a22::)(?!0?/)[0-9a-f]+")
_SEARCHED = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def rules(program: str) -> list[str]:
    """Return what iptables-save says, without counters, comments and tables in which nothing stands."""
    found: list[str] = []
    table: list[str] = []
    for line in said(program).splitlines():
        if line.startswith("*"):
            table = [line]
        elif line == "COMMIT":
            chains = sorted(re.sub(r" \[.*", "", one) for one in table[1:] if one.startswith(":"))
            there = [one for one in table if one.startswith("-")]
            if there or any(not chain.endswith(" ACCEPT") for chain in chains):
                found += [table[0], *chains, *there]
        elif not line.startswith("#"):
            table.append(line)
    return found


def ruleset() -> list[str]:
    """Return what nft says, without handles, counters, and tables and base chains in which nothing stands."""
    told = json.loads(said("nft", "-j", "list", "ruleset") or '{"nftables": []}')["nftables"]
    rows = [next(iter(one.items())) for one in told]
    parts = [(kind, without_counts(row)) for kind, row in rows if kind != "metainfo"]
    full = {(row["family"], row["table"], row["chain"]) for kind, row in parts if kind == "rule"}
    chains = [
        (kind, row)
        for kind, row in parts
        if kind == "chain"
        and ((row["family"], row["table"], row["name"]) in full or row.get("policy", "drop") != "accept")
    ]
    others = [(kind, row) for kind, row in parts if kind not in ("chain", "rule", "table")]
    held = {(row["family"], row["table"]) for _kind, row in chains + others}
    kept = [(kind, row) for kind, row in parts if kind == "table" and (row["family"], row["name"]) in held]
    ordered = sorted(json.dumps(one, sort_keys=True) for one in kept + chains + others)
    rules = [row for kind, row in parts if kind == "rule"]
    rules.sort(key=lambda row: (row["family"], row["table"], row["chain"]))  # and within a chain as they stand
    return ordered + [json.dumps(row, sort_keys=True) for row in rules]


def without_counts(value: Any) -> Any:
    """Return a part of nft's answer without what says when and how often."""
    if isinstance(value, dict):
        return {k: without_counts(v) for k, v in value.items() if k not in ("handle", "packets", "bytes", "position")}
    return [without_counts(one) for one in value] if isinstance(value, list) else value


def units() -> list[str]:
    """Return every unit that is not at rest, with its state; and of each that there is whether it is enabled."""
    kinds = "--type=service,socket,timer,path"
    there = said("systemctl", "list-units", "--all", "--plain", "--no-legend", kinds).splitlines()
    rows = [" ".join(line.split()[:4]) for line in there]
    rows = [row for row in rows if not row.endswith(" inactive dead")]  # such a one is known while another names it
    files = said("systemctl", "list-unit-files", "--plain", "--no-legend", kinds).splitlines()
    rows += ["file " + " ".join(line.split()[:2]) for line in files]
    return sorted(row for row in rows if not _PASSING.search(row))


def containers() -> list[str]:
    """Return every container: its name, id, image, and whether it runs."""
    rows = json.loads(said("podman", "ps", "--all", "--format=json") or "[]")
    return sorted(f"{row['Names'][0]} {row['Id'][:12]} {row['Image']} {row['State']}" for row in rows)


def files(folders: list[str], state_dir: str) -> Iterator[str]:
    """Return every file and folder: mode, owner, and a hash, or where a link leads."""
    for top in folders:
        for folder, names, others in os.walk(top):
            for path in sorted(Path(folder, name) for name in names + others):
                if not is_ledger(path, Path(state_dir)):
                    yield one_file(path)


def one_file(path: Path) -> str:
    """Return a file in one line."""
    try:
        about = path.lstat()
        what = ""
        if stat.S_ISLNK(about.st_mode):
            what = f"-> {path.readlink()}"
        elif stat.S_ISREG(about.st_mode):
            what = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError as error:
        return f"{path} {error.strerror}"
    return f"{path} {stat.filemode(about.st_mode)} {about.st_uid}:{about.st_gid} {what}".rstrip()


def is_ledger(path: Path, state_dir: Path) -> bool:
    """Say whether this is what may be left by a lift: an entry that is lifted or kept, its folders, the file of the turn."""
    spare = Path("/run/incidentctl")
    about = path.lstat()
    private = about.st_uid == os.geteuid() and not about.st_mode & 0o077
    if path in (state_dir, state_dir / "ledger", spare, spare / "ledger"):
        return private
    if path in (state_dir / "turn", spare / "turn"):
        return private and not about.st_size
    if state_dir / "releases" in (path, path.parent):
        return private and path.suffix in ("", ".json")  # it stays on purpose: what is known of releases
    if path.parent in (state_dir / "ledger", spare / "ledger"):
        return private and any(path.iterdir())
    if state_dir / "ledger" != path.parent.parent or path.suffix != ".json":
        return False
    entry = json.loads(path.read_text())
    return private and (entry["state"] == "lifted" or bool(entry["undo"].get("keep")))


def processes() -> list[str]:
    """Return what of ours still runs, modules and those who wait for a clock: they see within a second that it is gone."""
    until = time.monotonic() + GONE_S
    while (found := at_work()) and time.monotonic() < until:
        time.sleep(0.1)
    return found


def at_work() -> list[str]:
    """Return what of ours runs now."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").strip("\0").split("\0")
        except OSError:
            continue
        if "/clocks/" in " ".join(words) or words[1:] == ["-I", "-S", "-B", "-"]:
            found.append(" ".join(words)[:200])
    return sorted(found)


def answers(urls: list[str]) -> list[str]:
    """Return what each URL answers, without what changes by itself."""
    found = []
    for url in urls:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - of the site
                told = answer.read().decode()
        except OSError as error:
            told = type(error).__name__
        found.append(f"{url} {shortened(url, told)}")
    return found


def shortened(url: str, told: str) -> str:
    """Return of monitoring's long answers what is in force, and as it was written."""
    if "/api/v1/rules" in url and told.startswith("{"):
        return str(sorted(group["name"] for group in json.loads(told)["data"]["groups"]))
    if "/api/v2/silences" in url and told.startswith("["):
        rows = [one for one in json.loads(told) if one["status"]["state"] != "expired"]
        return str(sorted((one["createdBy"], one["comment"]) for one in rows))
    return told


def said(*argv: str) -> str:
    """Return what a program says; nothing, if it is not there."""
    program = shutil.which(argv[0], path=_SEARCHED)
    if program is None:
        return ""
    told = subprocess.run([program, *argv[1:]], capture_output=True, text=True, check=True, timeout=60).stdout
    return _OF_A_CONTAINER.sub(r"\1x", told)


def look(where: dict[str, Any]) -> dict[str, list[str]]:
    """Look at all of it."""
    return {
        "iptables": rules("iptables-save"),
        "ip6tables": rules("ip6tables-save"),
        "nft": ruleset(),
        "podman": containers() if where["podman"] else [],
        "units": units() if where["systemd"] else [],
        "files": list(files(where["folders"], where["state_dir"])),
        "processes": processes(),
        "answers": answers(where["urls"]),
    }


if __name__ == "__main__":
    print(json.dumps(look(json.loads(sys.argv[1]))))
