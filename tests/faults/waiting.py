"""Leave an incident at its question in every way there is, and see that nobody but a person decides: `make faults`.

An incident of high severity on the demo's shop is contained and asks which recovery. Then whoever waits at the question is
killed, again and again, at random moments, or their input or terminal ends. Between two of them there may be no decision in
the record and no act on the target. In the end somebody decides from another terminal, and that alone is carried out.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / part) for part in ("", "driver")]

from tests.faults import checks
from tests.faults.campaign import CountedShop, settled
from tests.faults.results_file import Results, until_told

from incidentctl.incident import fold

CONTAINED = Counter({"stop worker": 1, "maintenance mode enabled": 1})  # what was done when the question is put
QUESTION = "Which way"
PATIENCE_S = 180


class Waiting:
    """A shop with an incident at its question, and who comes to it."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        """Bring an incident to its question, without a terminal."""
        self.shop, self.chance = CountedShop(folder), chance
        self.until_question_s = 4.0
        self.shop.prepare()
        done = self.shop.run("run", "--severity", "high", "--yes", "checkout returns 500")
        if done.returncode != 10 or self.wrong():
            raise SystemExit(f"there is no question: {done.returncode} {done.stderr} {self.wrong()}")

    @contextlib.contextmanager
    def responder(self, *words: str, ignore_sighup: bool = False) -> Iterator[pexpect.spawn[str]]:
        """Somebody who goes on with it in a terminal; they are gone afterwards."""
        child = self.shop.in_terminal("resume", *words, ignore_sighup=ignore_sighup)
        child.timeout = PATIENCE_S
        try:
            yield child
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
            child.close()

    def at_the_question(self, child: pexpect.spawn[str]) -> None:
        began = time.monotonic()
        child.expect(QUESTION)
        self.until_question_s = time.monotonic() - began

    def sometime(self, within_s: float) -> None:
        time.sleep(self.chance.uniform(0, within_s))

    def wrong(self) -> list[str]:
        """What is wrong while nobody has decided; nothing, if all is well."""
        rows, acts = checks.events(self.shop.state), self.shop.acts()
        begun = {str(event.data["phase"]) for event in rows if event.kind == "step_started"}
        wrong = [f"{event.actor} decided {event.data['option']}" for event in rows if event.kind == "decided"]
        wrong += [f"without a decision: {act}" for act in (acts - CONTAINED).elements()]
        wrong += [f"undone: {act}" for act in (CONTAINED - acts).elements()]
        wrong += [f"without a decision: {phase} began" for phase in begun & {"decide", "recover", "verify", "lift"}]
        wrong += [] if fold(rows).question else ["the question is gone"]
        return wrong + checks.after_a_cut(self.shop.state)


# --- killed ---------------------------------------------------------------------------------------


def killed_before_the_question(it: Waiting) -> None:
    with it.responder():
        it.sometime(it.until_question_s)


def killed_while_it_is_put(it: Waiting) -> None:
    with it.responder() as child:
        child.expect("Ways out")
        it.sometime(0.1)


def killed_at_the_question(it: Waiting) -> None:
    with it.responder() as child:
        it.at_the_question(child)
        it.sometime(2)


def killed_with_a_half_typed_answer(it: Waiting) -> None:
    with it.responder() as child:
        it.at_the_question(child)
        child.send("a")
        it.sometime(1)


def killed_after_an_answer_was_typed_ahead(it: Waiting) -> None:
    with it.responder() as child:
        time.sleep(it.chance.uniform(0, it.until_question_s * 0.7))
        child.send("\ra\r")
        it.at_the_question(child)
        it.sometime(2)


# --- left in another way --------------------------------------------------------------------------


def input_ends(it: Waiting) -> None:
    with it.responder() as child:
        it.at_the_question(child)
        child.sendeof()
        ended(child)


def input_ends_in_a_half_typed_answer(it: Waiting) -> None:
    with it.responder() as child:
        it.at_the_question(child)
        child.send("a")
        child.sendeof()  # hands over what was typed
        child.sendeof()  # nothing more comes
        ended(child)


def the_terminal_hangs_up(it: Waiting) -> None:
    with it.responder() as child:
        it.at_the_question(child)
        child.send("a")
        child.ptyproc.fileobj.close()
        child.wait()
        assert child.exitstatus == 10, f"exit code {child.exitstatus}, signal {child.signalstatus}"


def the_terminal_hangs_up_on_who_does_not_mind(it: Waiting) -> None:
    with it.responder(ignore_sighup=True) as child:
        it.at_the_question(child)
        child.send("a")
        child.ptyproc.fileobj.close()
        child.wait()
        assert child.exitstatus == 10, f"exit code {child.exitstatus}"


def it_is_told_to_end(it: Waiting) -> None:
    with it.responder() as child:
        it.at_the_question(child)
        child.kill(signal.SIGTERM)
        child.expect(pexpect.EOF)


def it_is_interrupted(it: Waiting) -> None:
    with it.responder() as child:
        it.at_the_question(child)
        child.send("a")
        child.sendintr()
        ended(child, 130)


def it_is_left_alone(it: Waiting) -> None:
    with it.responder() as child:
        it.at_the_question(child)
        time.sleep(60)
        child.sendline("q")
        ended(child)


def nothing_may_be_asked(it: Waiting) -> None:
    with it.responder("--no-input") as child:
        child.send("a\ra\r")
        ended(child)


def standard_input_is_empty(it: Waiting) -> None:
    assert it.shop.run("resume").returncode == 10


def standard_input_is_closed(it: Waiting) -> None:
    argv = ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *it.shop.command("resume")]
    done = subprocess.run(argv, cwd=it.shop.folder, env=it.shop.environment, capture_output=True, check=False)
    assert done.returncode == 10, done.stderr


def ended(child: pexpect.spawn[str], code: int = 10) -> None:
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == code, f"exit code {child.exitstatus}: {child.before[-500:]}"


KILLED: tuple[Callable[[Waiting], None], ...] = (
    killed_before_the_question,
    killed_while_it_is_put,
    killed_at_the_question,
    killed_with_a_half_typed_answer,
    killed_after_an_answer_was_typed_ahead,
)
LEFT: tuple[Callable[[Waiting], None], ...] = (
    input_ends,
    input_ends_in_a_half_typed_answer,
    the_terminal_hangs_up,
    the_terminal_hangs_up_on_who_does_not_mind,
    it_is_told_to_end,
    it_is_interrupted,
    it_is_left_alone,
    nothing_may_be_asked,
    standard_input_is_empty,
    standard_input_is_closed,
)


def cycle(it: Waiting, way: Callable[[Waiting], None]) -> list[str]:
    """Let somebody come and go in this way; return what is wrong then."""
    try:
        way(it)
    except (AssertionError, pexpect.ExceptionPexpect) as error:
        return [f"{way.__name__}: {str(error)[:1000]}", *it.wrong()]
    return it.wrong()


def decided_while_somebody_waits(it: Waiting) -> list[str]:
    """Decide from another terminal; who waits at the question carries it out."""
    with it.responder() as child:
        it.at_the_question(child)
        done = it.shop.run("decide", "rollback")
        child.expect("Answered elsewhere")
        ended(child, 0)
    return [*([] if done.returncode == 0 else [f"decide: {done.returncode} {done.stderr}"]), *settled(it.shop)]


def decided_while_nobody_waits(it: Waiting) -> list[str]:
    """Decide from another terminal, which carries it out."""
    done = it.shop.run("decide", "rollback")
    return [*([] if done.returncode == 0 else [f"decide: {done.returncode} {done.stderr}"]), *settled(it.shop)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=100, help="kill whoever waits at the question so often (100)")
    parser.add_argument("--ends", type=int, default=2, help="let each other end come so often (2)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the random moments; another each time")
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="after so many minutes, let nobody come any more"
    )
    options = parser.parse_args()
    began, failed, count = time.monotonic(), 0, Counter[str]()
    killed = itertools.islice(itertools.cycle(KILLED), options.kills)
    parts = ((killed, decided_while_somebody_waits), (LEFT * options.ends, decided_while_nobody_waits))
    with Results("waiting") as results:
        results.say(f"seed: {options.seed}")
        with until_told():
            for ways, decided in parts:
                with tempfile.TemporaryDirectory() as folder:
                    it = Waiting(Path(folder), random.Random(options.seed))  # noqa: S311 - moments, no secrets
                    try:
                        for way in ways:
                            if time.monotonic() - began > 60 * options.minutes:
                                break
                            start, wrong = time.monotonic(), cycle(it, way)
                            count[way.__name__] += 1
                            failed += bool(wrong)
                            told = (
                                f"{count.total()}: {way.__name__.replace('_', ' ')}, {time.monotonic() - start:.1f} s"
                            )
                            results.say(told, wrong=wrong)
                        wrong = decided(it)
                        failed += bool(wrong)
                        results.say(decided.__name__.replace("_", " "), wrong=wrong)
                    finally:
                        it.shop.end()
        for name, number in count.items():
            results.say(f"{name.replace('_', ' ')}: {number}")
        seconds = time.monotonic() - began
        results.say(f"{count.total()} came and went, {seconds:.0f} s; {failed} with something wrong")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
