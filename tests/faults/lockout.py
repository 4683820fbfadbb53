"""Never locked out: load what locks everybody out, break what would notice, and see who comes in at the deadline.

lockouts  each of twelve bad rule sets, loaded by the acts themselves under their clocks, over IPv4 and IPv6; and meanwhile
          nothing else happens, or the controller is killed, or the link is pulled, or the ssh sessions are killed. A fresh login
          must come through by the deadline and five seconds; where the link was pulled, counted from when it is back.
          On light hosts (no systemd), and on a host of the lab.
boots     the host of the lab is restarted in the window, or its power fails; half of them have saved their rules by then,
          as netfilter-persistent, a boot script, rc.local or nftables.service do. And what was forgotten ends.

`--without-clock` starts no clock: then it must say LOCKED OUT. Needs root.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / part) for part in ("", "driver")]

from tests import light_hosts
from tests.faults import bad_rules, lockout_boots
from tests.faults.lockout_hosts import FAMILIES, Site, end_sessions, lab, light, login, of_the_lab, rules
from tests.faults.lockout_play import Play, left_behind, moment, wait_for_login
from tests.faults.results_file import Results, until_told

FAULTS = ("no fault", "controller killed", "link down", "ssh killed")
LATE_S = 5.0  # after the deadline


class Case(NamedTuple):
    """What is loaded by which act, over which family, and what goes wrong beside it."""

    rules: str
    family: str
    fault: str
    act: str

    def __str__(self) -> str:
        return f"{self.rules}, {self.family}, {self.fault} ({self.act})"


def cases(acts: list[str]) -> list[Case]:
    """Return all there are, each with one of the acts in turn."""
    several = itertools.product(bad_rules.SETS, FAMILIES, FAULTS)
    return [Case(*what, acts[number % len(acts)]) for number, what in enumerate(several)]


def attempt(
    site: Site, host: str, case: Case, top: Path, confirm_s: int, clocks: bool = True, late_s: float = LATE_S
) -> tuple[str, list[str]]:
    """Try one case; return how late the login came, in words, and what was wrong."""
    before = rules(site, host)
    collections = bad_rules.collection(case.rules, top, clocks)
    play = Play(site, host, case.act, case.family, top, collections, **{f"{case.act}_confirm_within": confirm_s})
    try:
        return _go_through(play, case, before, late_s)
    finally:
        play.kill()
        if not clocks:
            _let_in(play)


def _go_through(play: Play, case: Case, before: list[str], late_s: float) -> tuple[str, list[str]]:
    site, host, wrong = play.site, play.host, []
    entries = play.loaded()
    bad = bad_rules.SETS[case.rules]
    deadline = max([moment(entry["confirm_by"]) for entry in entries if entry["confirm_by"]], default=time.time())
    if [entry["state"] for entry in entries] != ["lifted" if case.rules == "a syntax error" else "applied"]:
        wrong.append(f"the rules are not in, or are in: {[entry['state'] for entry in entries]}: {play.said()[-500:]}")
    if case.fault == "controller killed":
        play.kill()
    elif case.fault == "ssh killed":
        end_sessions(site, host)
    elif case.fault == "link down":
        site.link(host, up=False)
    came_in = login(site, host, case.family)
    if time.time() < deadline and came_in is (bad.shuts or case.fault == "link down"):
        wrong.append(f"a login in the window {'came through' if came_in else 'did not come through'}")
    time.sleep(max(0.0, deadline - time.time()))
    if case.fault == "link down":
        time.sleep(2)
        site.link(host, up=True)
        deadline = time.time()
    late = wait_for_login(site, host, case.family, deadline, late_s)
    if late is None:
        return f"LOCKED OUT {late_s:.0f} s after the deadline", [*wrong, "locked out"]
    wrong += left_behind(play, before, late_s)
    if case.fault != "controller killed":
        code = play.wait()
        if code == 0 or (
            case.rules == "loopback cut" and case.fault == "no fault" and "over loopback" not in play.said()
        ):
            wrong.append(f"ansible-playbook ended with {code}: {play.said()[-500:]}")
    return late, wrong


def _let_in(play: Play) -> None:
    """Take out what no clock takes out, as a person at the console does."""
    for entry in play.entries():
        if entry["state"] != "lifted" and entry.get("clock"):
            play.site.inside(play.host, "python3", entry["clock"]["script"])


def lockouts(site: Site, asked: list[Case], top: Path, options: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    """Try cases, on each host one at a time; give what there is to say of each, and what was wrong."""
    free: SimpleQueue[str] = SimpleQueue()
    for name in site.names():
        free.put(name)

    def one(case: Case) -> tuple[str, list[str]]:
        host = free.get()
        try:
            told, wrong = _tried(lambda: attempt(site, host, case, top, options.confirm, not options.without_clock))
        finally:
            free.put(host)
        return f"{case}: {told}", wrong

    for name in bad_rules.SETS:
        bad_rules.collection(name, top, not options.without_clock)
    with ThreadPoolExecutor(len(site.names())) as pool:
        yield from pool.map(one, asked)


def _tried(attempted: Callable[[], tuple[str, list[str]]]) -> tuple[str, list[str]]:
    try:
        return attempted()
    except (OSError, ValueError, subprocess.SubprocessError, lab.LabError) as error:
        return "not tried to its end", [repr(error)]


def main() -> int:
    """Run the campaign; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--part", action="append", choices=("light", "lab", "boots"), help="only these; all, if none is named"
    )
    parser.add_argument("--host", default="web2", help="of the lab, which is made anew before and after")
    parser.add_argument("--hosts", type=int, default=6, help="how many light hosts are tried at once")
    parser.add_argument("--confirm", type=int, default=8, metavar="S", help="seconds until the clock strikes")
    parser.add_argument("--act", action="append", choices=bad_rules.ACTS, help="only these acts, in turn")
    parser.add_argument(
        "--way", action="append", choices=lockout_boots.WAYS, help="of saving rules; all, if none is named"
    )
    parser.add_argument("--every", type=int, default=1, metavar="K", help="only every K-th case")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="begin behind the first N")
    parser.add_argument("--minutes", type=float, default=math.inf, help="await no further case after so many minutes")
    parser.add_argument("--without-clock", action="store_true", help="start no clock: must say LOCKED OUT")
    options = parser.parse_args()
    if why := light_hosts.missing():
        raise SystemExit(f"not run: {why}")
    ways = options.way or list(lockout_boots.WAYS)
    asked = cases(options.act or list(bad_rules.ACTS))[options.first :: options.every]
    parts: dict[str, Callable[[], Any]] = {
        "light": lambda: light(options.hosts),
        "lab": lambda: of_the_lab(options.host),
    }
    failed, began = 0, time.monotonic()
    with Results("lockout") as results, until_told(), ExitStack() as stack:
        results.say(f"load: {os.getloadavg()[0]:.1f} when it began")
        top = Path(stack.enter_context(light_hosts.short_folder()))
        for part in options.part or [*parts, "boots"]:
            if time.monotonic() - began > 60 * options.minutes:
                break
            begun, tried, bad = time.monotonic(), 0, 0
            with parts.get(part, parts["lab"])() as site:
                boots = part == "boots"
                for told, wrong in (
                    map(_tried, lockout_boots.boots(site, top, ways)) if boots else lockouts(site, asked, top, options)
                ):
                    tried, bad = tried + 1, bad + bool(wrong)
                    results.say(f"{part}: {told}", wrong=wrong)
                    if time.monotonic() - began > 60 * options.minutes:
                        break
            failed += bad
            took = time.monotonic() - begun
            results.say(f"{part}: {tried - bad} of {tried} as promised; {took:.0f} s, load {os.getloadavg()[0]:.1f}")
        results.say(f"{failed} not as promised; {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
