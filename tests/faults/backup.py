"""Faults in the middle of a backup: is it ever called verified when it does not come back?

Disks that fill, sources that cannot be read, tools and runs that are killed, locks, wrong passwords, flipped bits. After each
fault what the backup claims is tried: the data is destroyed, the command that it names is run, and every hash and row compared.
Needs restic; root for the disks; PostgreSQL's programs for its part: what is missing is said and left out.
"""

from __future__ import annotations

import argparse
import math
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "driver")]

from tests.faults import disk, filling
from tests.faults.backup_site import KINDS, PASSWORD, TOOLS, Answer, Site, flip, kill_one
from tests.faults.filling import Filling, Point
from tests.faults.results_file import FOLDER, Results, until_told
from tests.postgresql_server import BIN, Server

MB = 1 << 20
NOBODY = 65534
SMALL, LARGE = 2 * MB, 16 * MB
DISK_MB, RESERVE_MB, MARGIN_MB = 120, 10, 16
POINTS = 10
MISSED = "nothing was refused"

Pair = tuple[str, str]  # kind, tool
Verdict = tuple[str, list[str]]  # what came of it, what was wrong
Case = Iterator[tuple[str, Callable[[], Verdict]]]


@contextmanager
def site(kind: str, tool: str, size: int = SMALL, top: Path | None = None) -> Iterator[Site]:
    """Give a data item in a folder that is gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="bk-", dir=top) as folder,
        tempfile.TemporaryDirectory(prefix="pg-") as data,
    ):
        Path(folder).chmod(0o755)
        Path(data).chmod(0o755)
        server = Server(Path(data)) if kind == "postgresql" else None
        try:
            yield Site(Path(folder) / "site", kind, tool, size, server)
        finally:
            if server:
                server.end()


def judged(it: Site, answer: Answer, expected: tuple[str, ...] = ("failed",)) -> Verdict:
    """Return how a backup ended, and what is not as promised."""
    outcome = str(answer.row.get("outcome", "killed"))
    wrong = it.wrong(answer) if answer.row else []
    if expected and outcome not in expected:
        wrong.append(f"it ended {outcome}: {answer.row.get('summary')}")
    return f"{outcome}{', verified' if answer.verified else ''}: {answer.row.get('summary', '')[-220:]}", wrong


def mended(it: Site, incident: str) -> list[str]:
    """Back up once more, without a fault: that must be verified, and come back."""
    answer = it.back_up(incident)
    if not answer.verified:
        return [f"not even without the fault: {answer.row.get('summary')}"]
    return it.wrong(answer)


def points(tool: str, is_repository: bool, written: int, count: int) -> list[Point]:
    """Spread points over all that is written to a disk; the last are where little is written, but what everything hangs on."""
    last = [Point("the list, when it is proved", call="unlink", path="/restored")]
    if is_repository:
        last = [Point("the archive's manifest", call="openat", path=".manifest")]
        if tool == "restic":
            locks = Point("the lock of the restore", call="unlink", path="/locks/")
            last = [Point("the snapshot", call="openat", path="/snapshots/"), locks]
    count -= len(last)
    return [*(Point(f"{n}/{count}", int((n - 0.5) / count * written)) for n in range(1, count + 1)), *last]


def on_a_disk_that_fills(kind: str, tool: str, size: int, count: int, to_the_brim: bool) -> Case:
    """Somebody else takes the rest of the disk, or all but little more than the reserve: the data's disk, the repository's."""
    with (
        filling.disk(DISK_MB * MB) as here,
        filling.disk(DISK_MB * MB) as there,
        site(kind, tool, size, here.top) as it,
    ):
        it.repository = there.top / "repository"
        for name, on in (("the data's", here), ("the repository's", there)):
            whole = Filling(on)
            first = _beside(it, whole, f"INC-first-{name[4]}")
            yield f"{name}, no fault", lambda first=first: judged(it, first, ("done",))
            for point in points(tool, on is there, whole.written, count):
                shutil.rmtree(it.repository, ignore_errors=True)
                yield f"{name}, at {point.name}", lambda on=on, point=point: _hit(it, on, point, to_the_brim)
            shutil.rmtree(it.repository, ignore_errors=True)
            yield f"{name}, with room again", lambda name=name: ("done", mended(it, f"INC-again-{name[4]}"))


def _hit(it: Site, on: filling.Disk, point: Point, to_the_brim: bool) -> Verdict:
    """Try it again if the disk was filled too late, as it may be on a busy machine; what was wrong by then counts, too."""
    verdict = _filled(it, on, point, to_the_brim)
    for _ in range(2):
        if verdict[1] != [MISSED]:
            break
        shutil.rmtree(it.repository, ignore_errors=True)
        verdict = _filled(it, on, point, to_the_brim)
    return verdict


def _filled(it: Site, on: filling.Disk, point: Point, to_the_brim: bool) -> Verdict:
    # To the brim: with a reserve so low that nothing is ever stopped, and the kernel refuses the write.
    reserve = -MARGIN_MB if to_the_brim else RESERVE_MB
    at_work = Filling(on, point, 0 if to_the_brim else (RESERVE_MB + MARGIN_MB) * MB)
    answer = _beside(it, at_work, f"INC-{secrets.token_hex(3)}", reserve_mb=reserve)
    on.make_room()
    told, wrong = judged(it, answer, ())
    if not at_work.filled:
        wrong.append("the disk was not filled")
    if to_the_brim and not at_work.refused:
        wrong.append(MISSED)
    # Of a file that it restores restic takes the whole room in one call, between two of our looks.
    if not to_the_brim and at_work.least + at_work.at_once < RESERVE_MB * MB:
        wrong.append(f"below the reserve: {at_work.least / MB:.1f} MB were free")
    refused = f"first refused: {at_work.refused}; " if at_work.refused else ""
    refused += f"taken at once for files to come: {at_work.at_once / MB:.1f} MB; " if at_work.at_once else ""
    return f"full after {at_work.filled}; {refused}least free {at_work.least / MB:.1f} MB; {told}", wrong


def _beside(it: Site, at_work: Filling, incident: str, **more: Any) -> Answer:
    process = it.start(incident, filling=at_work, **more)
    try:
        return it.finish(process)
    finally:
        at_work.join()


def with_an_unreadable_source(tools: Sequence[str]) -> Case:
    """What cannot be read is a failure, never a gap: by mode, by a broken disk, by the rights of a database."""
    for tool in tools:
        with site("files", tool) as it:
            yield f"files {tool}, a mode", lambda it=it: _as_nobody(it, it.data / "1.bin", 0)
            # Readable for its group alone: the copy, which is our own, is then unreadable for us. restic exits 3 there.
            yield f"files {tool}, the copy", lambda it=it: _as_nobody(it, it.data / "1.bin", 0o040)
        with site("sqlite", tool) as it:
            yield f"sqlite {tool}, a mode", lambda it=it: _as_nobody(it, it.data / "shop.db", 0)
        if os.geteuid() == 0 and not disk.missing():
            with tempfile.TemporaryDirectory() as folder:
                bad = disk.Disk(Path(folder) / "image", Path(folder) / "mounted")
                bad.make()
                try:
                    with site("files", tool) as it:
                        yield (
                            f"files {tool}, a broken disk",
                            lambda it=it, bad=bad, at=Path(folder): _broken(it, bad, at),
                        )
                finally:
                    subprocess.run(["umount", "--lazy", str(Path(folder) / "mounted")], check=True)
        if BIN:
            with site("postgresql", tool) as it:
                yield f"postgresql {tool}, no right to one table", lambda it=it: _without_right(it)


def _as_nobody(it: Site, path: Path, mode: int) -> Verdict:
    for folder in (it.state, it.repository):
        folder.mkdir(exist_ok=True)
    for owned in (it.top, it.state, it.repository, it.password):
        if owned.exists():
            os.chown(owned, NOBODY, NOBODY)
    os.chown(path, 0, NOBODY)
    path.chmod(mode)
    answer = it.back_up(f"INC-{secrets.token_hex(2)}", {"uid": NOBODY})
    path.chmod(0o644)
    return judged(it, answer)


def _broken(it: Site, bad: disk.Disk, top: Path) -> Verdict:
    shutil.copytree(it.data, top / "mounted" / "data")
    subprocess.run(["sync"], check=True)
    Path("/proc/sys/vm/drop_caches").write_text("1")
    bad.spoil("broken")
    it.data = top / "mounted" / "data"
    return judged(it, it.back_up("INC-1"))


def _without_right(it: Site) -> Verdict:
    assert it.server
    it.server.sql("CREATE ROLE nobody LOGIN CREATEDB")
    it.server.sql("GRANT SELECT ON blobs TO nobody; CREATE TABLE secret AS SELECT 1 AS n", "shop")
    return judged(it, it.back_up("INC-1", services=[{**it.service(), "data": [{**it.item(), "user": "nobody"}]}]))


def with_a_lock() -> Case:
    """A lock of somebody who is gone is taken away; that of somebody who is at work stays, and so do they."""
    with site("files", "restic") as it:
        it.back_up("INC-0")
        yield "stale", lambda: _locked(it, "INC-stale", alive=False)
        yield "alive", lambda: _locked(it, "INC-alive", alive=True)


def _locked(it: Site, incident: str, alive: bool) -> Verdict:
    """Have a `restic prune` hold its exclusive lock, and be killed or stopped at that moment."""
    (it.data / "0.bin").write_bytes(os.urandom(1000))
    it.wanted = it.seen()
    words = ("restic", "-r", str(it.repository), "--no-cache", "--password-file", str(it.password), "prune")
    holder = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    locks = it.repository / "locks"
    while not _names(locks) and holder.poll() is None:
        time.sleep(0.001)
    holder.send_signal(signal.SIGSTOP if alive else signal.SIGKILL)
    held = _names(locks)
    if not alive:
        holder.wait()
    answer = it.back_up(incident)
    still = _names(locks)
    if alive:
        holder.kill()
        holder.wait()
    told, wrong = judged(it, answer, ("failed",) if alive else ("done",))
    if not held:
        wrong.append("nothing was locked")
    if (held <= still) is not alive:
        wrong.append(f"locks {held} before, {still} after")
    return told, [*wrong, *mended(it, f"{incident}-after")]


def _names(locks: Path) -> set[str]:
    return {path.name for path in locks.iterdir() if "-tmp-" not in path.name}


def with_a_wrong_password(kinds: Sequence[str]) -> Case:
    """It is a failure that says so, and makes no second repository."""
    for kind in kinds:
        with site(kind, "restic") as it:
            it.back_up("INC-0")
            it.password.write_text("another")
            yield kind, lambda it=it: _closed(it)


def _closed(it: Site) -> Verdict:
    told, wrong = judged(it, it.back_up("INC-1"))
    if "wrong password" not in told:
        wrong.append("it does not say so")
    it.password.write_text(PASSWORD)
    return told, [*wrong, *mended(it, "INC-2")]


# What is killed of which backup: the how many-th process of that name.
_TOOLS_KILLED = {
    "restic files": (("restic", 1), ("restic", 2), ("restic", 3), ("restic", 4)),
    "restic sqlite": (("restic", 1), ("restic", 3)),
    "tar postgresql": (
        ("pg_dump", 1),
        ("pg_dumpall", 1),
        ("pg_restore", 1),
        ("pg_restore", 2),
        ("psql", 2),
        ("psql", 5),
    ),
    "restic postgresql": (("pg_dump", 1), ("pg_restore", 2), ("restic", 1), ("restic", 2)),
}


def with_a_killed_tool(pairs: Sequence[Pair], delays: int) -> Case:
    """Whichever tool is killed, and whenever: no proof, no claim."""
    for name, killed in _TOOLS_KILLED.items():
        tool, kind = name.split()
        if (kind, tool) not in pairs:
            continue
        with site(kind, tool, 4 * MB) as it:
            it.back_up("INC-0")
            for program, nth in killed:
                for n in range(delays):
                    wait = n * 0.15
                    told = f"{name}, {program} {nth} after {wait:.2f} s"
                    yield told, lambda it=it, p=program, nth=nth, w=wait: _tool_killed(it, p, nth, w)
            yield f"{name}, no fault", lambda it=it: ("done", mended(it, "INC-after"))


def _tool_killed(it: Site, program: str, nth: int, wait: float) -> Verdict:
    process = it.start(f"INC-{secrets.token_hex(3)}")
    hit = kill_one(process.pid, program, nth, wait, lambda: process.poll() is None)
    told, wrong = judged(it, it.finish(process), ())
    return f"{'killed' if hit else 'had ended by then'}; {told}", wrong


def with_a_killed_run(pairs: Sequence[Pair], cuts: int) -> Case:
    """The whole run is killed; it is run again, sweeps what was left, and comes back."""
    for kind, tool in pairs:
        with site(kind, tool, 4 * MB) as it:
            began = time.monotonic()
            it.back_up("INC-0")
            lasts = time.monotonic() - began
            for n in range(cuts):
                after_s = lasts * (n + 1) / (cuts + 1)
                yield f"{kind} {tool}, after {after_s:.2f} s", lambda it=it, s=after_s: _cut(it, s)


def _cut(it: Site, after_s: float) -> Verdict:
    incident = f"INC-{secrets.token_hex(3)}"
    process = it.start(incident)
    time.sleep(after_s)
    process.kill()
    cut = it.finish(process)
    return f"{'cut' if not cut.row else 'it had ended'}", mended(it, incident)


def with_a_flipped_bit(pairs: Sequence[Pair], flips: int) -> Case:
    """A bit of the repository is flipped: before it is proved, and in one that was proved and is asked for again."""
    for kind, tool in pairs:
        with site(kind, tool) as it:
            for n in range(flips):
                shutil.rmtree(it.repository, ignore_errors=True)
                yield f"{kind} {tool}, flip {n} before the proof", lambda it=it, n=n: _flipped(it, n)
            for n in range(max(1, flips // 5)):
                shutil.rmtree(it.repository, ignore_errors=True)
                it.back_up(f"INC-rot-{n}")
                yield f"{kind} {tool}, flip {n} after the proof", lambda it=it, n=n: _rotten(it, n)


def _flipped(it: Site, seed: int) -> Verdict:
    return judged(it, it.back_up(f"INC-{seed}", {"flip": seed}), ())


def _rotten(it: Site, seed: int) -> Verdict:
    where = flip(it.repository, seed)
    told, wrong = judged(it, it.back_up(f"INC-rot-{seed}"), ())
    return f"{where}; {told}", wrong


def campaign(scale: float) -> Iterator[tuple[str, Case]]:
    """Give each class of faults with its cases: at `scale` 1 all of them, at 0 two or so of each class."""
    few = scale == 0
    kinds = KINDS if BIN else KINDS[:2]
    pairs = [("files", "restic")] if few else [(kind, tool) for kind in kinds for tool in TOOLS]
    count, flips, times = max(2, round(POINTS * scale)), max(2, round(50 * scale)), max(1, round(4 * scale))
    if os.geteuid() == 0 and not filling.missing():
        size = SMALL if few else LARGE
        for kind, tool in pairs:
            disks = on_a_disk_that_fills(kind, tool, size, count, to_the_brim=False)
            yield f"a disk at its reserve, {kind} {tool}", disks
        for kind, tool in [("sqlite", "tar")] if few else pairs:
            yield f"a full disk, {kind} {tool}", on_a_disk_that_fills(kind, tool, size, count, to_the_brim=True)
    if os.geteuid() == 0:
        yield "an unreadable source", with_an_unreadable_source(TOOLS[1:] if few else TOOLS)
    yield "a lock", with_a_lock()
    yield "a wrong password", with_a_wrong_password(kinds[:1] if few else kinds)
    yield "a killed tool", with_a_killed_tool([(kinds[-1], "tar"), *pairs], times)
    yield "a killed run", with_a_killed_run(pairs, max(1, round(6 * scale)))
    yield "a flipped bit", with_a_flipped_bit(pairs, flips)


def chosen(scale: float, only: str | None) -> Iterator[tuple[str, str, Callable[[], Verdict]]]:
    """Give each case of the classes whose name has `only` in it: class, case, and what tries it."""
    for name, cases in campaign(scale):
        if not only or only in name:
            yield from ((name, case, act) for case, act in cases)


def main() -> int:
    """Go through all faults; keep what came of each in tests/faults/results; return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--scale", type=float, default=1, metavar="S", help="as many of each fault, times S (1); 0: some"
    )
    parser.add_argument("--results", type=Path, default=FOLDER, metavar="FOLDER", help="where to keep what came of it")
    parser.add_argument("--only", metavar="TEXT", help="only the classes whose name has this in it")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no further case after so many minutes")
    options = parser.parse_args()
    if os.geteuid() == 0 and disk.is_shared():  # so that no mount outlives this
        os.execvp("unshare", disk.apart(sys.executable, *sys.argv))
    if shutil.which("restic") is None:
        sys.exit("restic is not here. Fix: install it")
    began, tried, failed, false = time.monotonic(), 0, 0, 0
    with Results("backup", options.results) as results:
        if os.geteuid():
            results.say("left out, for it needs root: sources that cannot be read")
        if lack := filling.missing():
            results.say(f"left out, for {lack} is missing: disks that fill")
        if not BIN:
            results.say("left out, for its programs are not here: PostgreSQL")
        with until_told():
            for name, case, act in chosen(options.scale, options.only):
                if time.monotonic() - began > 60 * options.minutes:
                    break
                told, wrong = act()
                tried, failed = tried + 1, failed + bool(wrong)
                false += any("false verified" in text for text in wrong)
                results.say(f"{name}: {case}: {told}", wrong=wrong)
        seconds = time.monotonic() - began
        results.say(f"{tried} faults, {false} false verified, {failed} with anything wrong, {seconds:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
