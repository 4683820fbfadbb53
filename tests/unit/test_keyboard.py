"""What counts as an answer that was typed: a whole line, after the question was put."""

from __future__ import annotations

import errno
import os
import sys
import termios
import time
from collections.abc import Iterator

import pytest

from incidentctl import keyboard

END = b"\x04"  # Ctrl-D hands over what was typed; without anything before it, the input ends


class Keys:
    """The keys of a terminal whose other side is our standard input."""

    def __init__(self) -> None:
        self._keys, self.stdin = os.openpty()

    def type(self, keys: bytes) -> None:
        """Type, and wait until the terminal shows it: so long the kernel takes to bring it."""
        os.write(self._keys, keys)
        shown = keys.replace(END, b"").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
        while shown:
            shown = shown.removeprefix(os.read(self._keys, len(shown)))

    def hang_up(self) -> None:
        os.close(self._keys)
        self._keys = -1

    def end(self) -> None:
        if self._keys >= 0:
            self.hang_up()


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[Keys]:
    found = Keys()
    with os.fdopen(found.stdin, encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(keyboard, "_POLL_S", 0.05)
        yield found
        found.end()


def echoes(keys: Keys) -> bool:
    return bool(termios.tcgetattr(keys.stdin)[3] & termios.ECHO)


def test_what_is_typed_is_not_shown_while_something_is_drawn(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "tcgetpgrp", lambda _stdin: os.getpgrp())  # it is at this terminal
    speak = keyboard.hush()
    assert not echoes(keys)
    speak()
    assert echoes(keys)


def test_who_is_in_the_background_leaves_the_terminal_as_it_is(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "tcgetpgrp", lambda _stdin: os.getpgrp() + 1)
    keyboard.hush()()
    assert echoes(keys)


def asked() -> str | None:
    """What is answered by who waits at most half a minute."""
    until = time.monotonic() + 30
    return keyboard.line(lambda: time.monotonic() > until)


def test_a_whole_line_is_an_answer(keys: Keys) -> None:
    for typed, answer in ((b"a\r", "a"), (b"\r", ""), (b"mitigate\n", "mitigate")):
        keys.type(typed)
        assert asked() == answer


@pytest.mark.parametrize("typed", [b"a\r", b"\r\r\r", b"a", b"a\rb"])
def test_what_was_typed_before_the_question_is_none(keys: Keys, typed: bytes) -> None:
    keys.type(typed)
    keyboard.forget()
    assert keyboard.line(lambda: True) is None
    keys.type(b"q\r")
    assert asked() == "q"


@pytest.mark.parametrize("typed", [END, b"a" + END + END])
def test_a_line_without_its_end_is_none(keys: Keys, typed: bytes) -> None:
    keys.type(typed)
    assert asked() is None


@pytest.mark.parametrize("typed", [b"", b"a"])
def test_a_terminal_that_hangs_up_has_not_answered(keys: Keys, typed: bytes) -> None:
    keys.type(typed)
    keys.hang_up()
    began = time.monotonic()
    assert asked() is None
    assert time.monotonic() - began < 60, "it was not noticed"


def test_a_terminal_that_may_no_longer_be_read_has_not_answered(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel has it for who was left in the background by a shell that is gone."""

    class Orphan:
        fileno = sys.stdin.fileno

        def readline(self) -> str:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    keys.type(b"a\r")
    monkeypatch.setattr(sys, "stdin", Orphan())
    assert asked() is None


def test_what_is_no_terminal_has_nothing_to_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull, encoding="utf-8") as nothing:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdin", nothing)
        keyboard.forget()
