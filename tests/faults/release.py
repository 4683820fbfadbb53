"""Switch releases while they are read, cut switches off, let the older one be sick, and fill the disk: see what is there.

reads  10,000 reads by four processes over 100 switches, of a symlink's release and of a compose file's `.env`: none may
       fail, none may see a mixture.
kill   the module is killed at each of its system calls that write, start a command or wait for one: what is there is one
       whole release, and the next run goes on to the same end as if nothing had been.
sick   the older release is silent, wrong or does not start: forward again, before the deadline.
full   the disk has no room left before the switch, or gets full in the middle.

`full` needs root, for a disk of its own, which ends with it; `kill` needs strace.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / part) for part in ("", "driver")]

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _control,
    _env_file,
    _ledger,
    _release,
    _release_symlink,
)
from ansible_collections.incidentctl.response.plugins.module_utils._act import act
from tests.faults.results_file import Results, until_told
from tests.small_service import SmallService

READERS, READS, SWITCHES = 4, 10_000, 100
PARTS = ("reads", "kill", "sick", "full")
CALLS = ("mkdir", "symlink", "rename", "unlink", "fsync", "vfork", "clone", "clone3", "wait4")
_AS_OFTEN_AS_IT_TAKES = ("vfork", "clone", "clone3", "wait4")
FILES = ("app", "templates", "version")
_ENVS = {tag: f"# shared\nPASSWORD=x\nSHOP_TAG={tag}\nLAST=1\n".encode() for tag in ("41", "42")}
_APART = "INCIDENTCTL_TEST_RELEASE_APART"


def params(shop: SmallService, incident: str = "INC-1", **more: Any) -> dict[str, Any]:
    """Return what the module is told to roll the shop back."""
    plain = {"state": "rolled_back", "to": None, "remember": False, "within_s": 3.0, "window_s": 0.1, "only": ["shop"]}
    where = {"host_name": "h", "host_groups": [], "keep_going": True, "state_dir": str(shop.home.parent / "state")}
    return {**plain, **where, "services": [shop.entry("health", "releases")], "incident_id": incident, **more}


@contextmanager
def shop_at(folder: Path, *releases: tuple[str, str]) -> Iterator[SmallService]:
    """Give a shop with these releases (name, health) that runs the last of them."""
    shutil.rmtree(folder, ignore_errors=True)
    shop = SmallService(folder / "shop")
    for name, health in releases:
        path = shop.release(name, health)
        for file in FILES:
            (path / file).write_text(f"{name}\n" * 500)
    shop.point(releases[-1][0])
    shop.start()
    try:
        yield shop
    finally:
        shop.end()


def read(folder: Path, least: int) -> dict[str, Any]:
    """Read until told that it is over, but so often at least; return how often, and what was wrong."""
    reads, wrong = 0, Counter[str]()
    while reads < least or not (folder / "over").exists():
        try:
            wrong.update(_read_release(folder / "shop" / "current"))
            seen = (folder / "site" / ".env").read_bytes()
            if seen not in _ENVS.values() or (folder / "site" / ".env").stat().st_mode & 0o777 != 0o640:
                wrong["a mixture in .env"] += 1
        except OSError as error:
            wrong[f"a read failed: {error.strerror}"] += 1
        reads += 1
    return {"reads": reads, "wrong": dict(wrong)}


def _read_release(current: Path) -> list[str]:
    """A program that holds the folder it began with sees one release in all its files; a path leads to a whole file."""
    folder = os.open(current, os.O_RDONLY | os.O_DIRECTORY)
    try:
        texts = set()
        for file in FILES:
            descriptor = os.open(file, os.O_RDONLY, dir_fd=folder)
            with os.fdopen(descriptor) as stream:
                texts.add(stream.read())
    finally:
        os.close(folder)
    texts |= {text for text in [(current / "app").read_text()] if text not in ("41\n" * 500, "42\n" * 500)}
    return [] if texts in ({"41\n" * 500}, {"42\n" * 500}) else ["a mixture of releases"]


def reads(folder: Path, switches: int = SWITCHES, least: int = READS) -> Iterator[tuple[str, list[str]]]:
    """Switch while it is read; yield what was seen and what was wrong."""
    with shop_at(folder, ("41", "200"), ("42", "200")) as shop:
        env = folder / "site" / ".env"
        env.parent.mkdir()
        env.write_bytes(_ENVS["42"])
        env.chmod(0o640)
        words = [sys.executable, __file__, "--read", str(folder), "--reads", str(least // READERS)]
        readers = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _reader in range(READERS)]
        ended: list[str] = []
        try:
            for turn in range(switches):
                to = ("41", "42")[turn % 2]
                ended += _switched(shop, to, turn)
                _env_file.change(env, "SHOP_TAG", to)
            (folder / "over").touch()
            told = [json.loads(reader.communicate(timeout=600)[0]) for reader in readers]
        finally:
            for reader in readers:
                reader.kill()
                reader.wait()
        wrong = [f"{count} times {what}" for one in told for what, count in one["wrong"].items()]
        count = sum(one["reads"] for one in told)
        if count < least:
            wrong.append(f"only {count} reads")
        yield f"{count} reads by {READERS} processes over {switches} switches of each kind", ended + wrong


def _switched(shop: SmallService, to: str, turn: int) -> list[str]:
    """Switch as the module does it, ledger and all; of the service there is only a file that says that it runs."""
    runs = str(shop.home / "runs")
    control = {"start": ["touch", runs], "stop": ["rm", "-f", runs], "status": ["test", "-e", runs]}
    given = params(shop, f"INC-{turn}", services=[shop.entry("releases", control=control)], to=to)
    row = _release.run(given, False)["incident"]["actions"][0]
    done = row["outcome"] == "done" and shop.current.readlink().name == to
    return [] if done else [f"other: switch {turn} to {to}: {row['summary']}"]


def kill(folder: Path, every: int) -> Iterator[tuple[str, list[str]]]:
    """Kill the module at each of its calls, of a rollback that helps and of one that goes forward again."""
    for name, old, wanted in (("helps", "200", ("done", "41")), ("no better", "500", ("failed", "42"))):
        met = places(folder, old)
        chosen = met[::every]
        yield f"rollback that {name}: {len(chosen)} of {len(met)} calls", []
        for call, number in chosen:
            reached, wrong = killed(folder, old, call, number, wanted)
            yield f"{name}: {'killed' if reached else 'not met'} at {call} {number}", wrong


def places(folder: Path, old: str) -> list[tuple[str, int]]:
    """Return each call that a rollback meets when it is left alone: (what, which one of its kind)."""
    with shop_at(folder, ("41", old), ("42", "500")) as shop:
        trace = folder / "trace"
        _run(params(shop), *_strace(trace))
        calls = Counter(re.findall(r"^(\w+)\(", trace.read_text(), re.MULTILINE))
    return [(call, number) for call in CALLS for number in range(1, calls[call] + 1)]


def killed(folder: Path, old: str, call: str, number: int, wanted: tuple[str, str]) -> tuple[bool, list[str]]:
    """Kill a rollback at its number-th call of a kind, and run it again; return whether it met that call, and what is wrong.

    How often a command is waited for, or asked whether the service runs by now, is not the same each time.
    """
    with shop_at(folder, ("41", old), ("42", "500")) as shop:
        before = {path: path.read_bytes() for path in (shop.home / "releases").rglob("*") if path.is_file()}
        given = params(shop)
        answer = _run(given, *_strace(folder / "trace"), "-e", f"inject={call}:signal=KILL:when={number}")
        reached = answer is None
        wrong = [] if reached or call in _AS_OFTEN_AS_IT_TAKES else ["other: it was not killed"]
        wrong += _whole(shop, before)
        answer = _run(given)
        again = None if answer is None else answer["incident"]["actions"][0]
        outcome, release = wanted
        # Killed at its very end, all was done: then there is nothing left to do, or to be tried again.
        if again is None or again["outcome"] not in (outcome, "unchanged" if outcome == "done" else outcome):
            wrong.append(f"lost: the next run: {again and again['summary']}")
        if shop.current.readlink().name != release or not shop.running():
            wrong.append(f"lost: at {shop.current.readlink()}, running: {shop.running()}")
        wrong += _whole(shop, before)
        states = [entry["state"] for entry in _ledger.entries(given)[0]]
        if states.count("applied") != (1 if outcome == "done" else 0) or "intended" in states:
            wrong.append(f"doubled: the ledger says {states}")
        if list(shop.home.glob(".current*")):
            wrong.append("other: a draft was left")
        return reached, wrong


def _whole(shop: SmallService, before: dict[Path, bytes]) -> list[str]:
    wrong = [
        f"lost: {path} of a release" for path, text in before.items() if not path.exists() or path.read_bytes() != text
    ]
    return wrong + _read_release(shop.current)


def sick(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Let the older release be sick in each way; going forward again must come within the deadline."""
    for health in ("500", "silent", "crash"):
        with shop_at(folder, ("41", health), ("42", "503")) as shop:
            given = params(shop)
            limit = (
                given["within_s"] + given["window_s"] + (_control.WAIT_S if health == "crash" else 0) + 20
            )  # a busy machine is slow
            for attempt in ("first", "second"):
                began = time.monotonic()
                answer = _run(given)
                took = time.monotonic() - began
                row = answer["incident"]["actions"][0] if answer else {"outcome": None, "summary": "no answer"}
                seen = (row["outcome"], shop.current.readlink().name, shop.running())
                wrong = [] if seen == ("failed", "42", True) else [f"other: {seen}: {row['summary']}"]
                wrong += [] if took < limit else [f"other: it took {took:.1f} s"]
                wrong += (
                    [] if (shop.home / "releases" / "41" / "app").exists() else ["lost: the release that was tried"]
                )
                yield f"{health}, {attempt} time: forward again after {took:.1f} s of at most {limit:.0f}", wrong


def full(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Let the disk be full before the switch, and get full in the middle."""
    if os.geteuid() != 0:
        yield "full: left out, a disk of its own needs root", []
        return
    for when in ("before", "in the middle", "before the way forward"):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=80", "none", str(folder)], check=True)
        try:
            yield _full(folder, when)
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _full(folder: Path, when: str) -> tuple[str, list[str]]:
    with shop_at(folder / "disk", ("41", "500"), ("42", "503")) as shop:
        pid = shop.pid.read_text()
        given = params(shop, state_dir=str(folder / "disk" / "state"))
        real, switches = _release_symlink._switch, []

        def switch(link: Path, to: str) -> None:
            switches.append(to)
            if len(switches) == (1 if when == "in the middle" else 2):
                _fill(folder)
            real(link, to)

        if when == "before":
            _fill(folder)
        _release_symlink._switch = switch
        try:
            row = _release.run(given, False)["incident"]["actions"][0]
        finally:
            _release_symlink._switch = real
        at = shop.current.readlink().name
        expected = {"before": ("refused", "42"), "in the middle": ("failed", "42")}.get(when, ("failed", "41"))
        wrong = [] if (row["outcome"], at) == expected else [f"other: {row['outcome']} at {at}: {row['summary']}"]
        wrong += _read_release(shop.current)
        wrong += [] if "No space left" in row["summary"] else [f"other: it does not say why: {row['summary']}"]
        if at == "42" and shop.pid.read_text() != pid:
            wrong.append("other: it was restarted for nothing")
        _make_room(folder)
        row = _release.run(given, False)["incident"]["actions"][0]
        if (row["outcome"], shop.current.readlink().name) != ("failed", "42"):
            wrong.append(f"other: with room again: {row['summary']}")
        return f"full {when}: {expected[0]}, at {at}; with room again: {row['summary']}", wrong


def _fill(folder: Path) -> None:
    """Take all its bytes and all its names."""
    (folder / "ballast").mkdir()
    with contextlib.suppress(OSError), (folder / "ballast" / "bytes").open("wb", buffering=0) as stream:
        while True:
            stream.write(b"\0" * 4096)
    with contextlib.suppress(OSError):
        for name in itertools.count():
            (folder / "ballast" / f"{name}").touch()


def _make_room(folder: Path) -> None:
    shutil.rmtree(folder / "ballast")


def _strace(trace: Path) -> list[str]:
    """Return the words that trace what the module does to the shop and to its ledger, and each command it starts."""
    return ["strace", "-qq", "-o", str(trace), "-e", f"trace={','.join(CALLS)}"]


def _run(given: dict[str, Any], *before: str) -> dict[str, Any] | None:
    """Run the module in a process of its own; return its result, None if it was killed."""
    words = [*before, sys.executable, __file__, "--act", json.dumps(given)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=180, check=False)
    said = done.stdout.strip().splitlines()
    return json.loads(said[-1]) if said else None


def main() -> int:
    """Run the parts that are asked for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part, may be given several times")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="of `kill`, every Nth call alone (1)")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no further case after so many minutes")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--reads", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--act", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        print(json.dumps(read(options.read, options.reads)))
        return 0
    if options.act:
        given = json.loads(options.act)
        _ledger.VOLATILE_DIR = str(Path(given["state_dir"]).parent / "run")
        print(json.dumps(act(_release.run, "rollback", given, False)))
        return 0
    if _APART not in os.environ and os.geteuid() == 0:
        own = ["unshare", "--mount", "--propagation", "private", "env", f"{_APART}=yes"]
        os.execvp(own[0], [*own, sys.executable, *sys.argv])
    with Results("release") as results, tempfile.TemporaryDirectory() as top, until_told():
        return _all(options, results, Path(top))
    return 1


def _all(options: argparse.Namespace, results: Results, top: Path) -> int:
    programs = {"reads": reads, "kill": lambda folder: kill(folder, options.every), "sick": sick, "full": full}
    cases, bad, began = 0, 0, time.monotonic()
    _ledger.VOLATILE_DIR = str(top / "run")  # where a full disk's ledger goes: this machine's own is not ours
    for part in options.part or PARTS:
        if part == "kill" and shutil.which("strace") is None:
            results.say("kill: left out, strace is not installed")
            continue
        folder = top / part
        folder.mkdir()
        for line, wrong in programs[part](folder):
            cases, bad = cases + 1, bad + bool(wrong)
            results.say(f"{part}: {line}", wrong=wrong)
            if time.monotonic() - began > options.minutes * 60:
                break
    results.say(f"{cases} cases, {bad} of them wrong: {results.faults()}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
