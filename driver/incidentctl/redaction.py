"""Secrets taken out of what people read. What they are taken from, record and evidence, stays as it is. Pure.

Given text in any form, from an event to a file of any size, the same text comes back with `[redacted: RULE]` in the place
of each secret that a rule finds; text without one comes back unchanged, and redacted text, too.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from incidentctl.redaction_rules import KEY_BEGINS, KEY_ENDS, KEY_LINE, KEY_RULE, MARK, RULES, Rule

LONGEST_LINE = 1 << 18  # characters; in what is longer no secret is looked for: it is left out whole
LONG_RULE = "long-line"
_KEY_LINES = 400  # of RSA with 16384 bits there are 200
_STRANGE_LINES = 2  # within a private key: its last line may be short

_BLOCK = 100  # lines

_HINTS = sorted({hint for rule in RULES for hint in rule.hints})
_SHORT = 200  # characters
_MARKS = re.compile(rf"{MARK}|\[redacted:[ a-z-]{{0,21}}")

T = TypeVar("T")


@dataclass(frozen=True)
class Redacted:
    """Text without secrets, and how many of each rule stood in it; one within another counts as two."""

    text: str
    counts: Mapping[str, int]


def redact(text: str) -> Redacted:
    """Take the secrets out of a text."""
    redactor = Redactor()
    return Redacted("\n".join(redactor.lines(text.split("\n"))), dict(redactor.counts))


def for_people(value: T) -> T:
    """Return a value as people outside may read it: every text in it redacted, however deep it lies."""
    return _walked(value)  # type: ignore[no-any-return]


def _walked(value: Any) -> Any:
    if isinstance(value, str):
        return _short(value) if len(value) <= _SHORT else redact(value).text
    if isinstance(value, Mapping):
        return {key: _walked(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return list(map(_walked, value)) if isinstance(value, list) else tuple(map(_walked, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = (field.name for field in dataclasses.fields(value) if field.init)
        return dataclasses.replace(value, **{name: _walked(getattr(value, name)) for name in fields})
    return value


def _is_gone(secret: str) -> bool:
    """Say whether nothing is left of a secret but the mark where it stood, whole or cut off: that is not taken out again."""
    return "[redacted:" in secret and not any(c.isalnum() for c in _MARKS.sub("", secret).replace("\\n", ""))


@functools.lru_cache(maxsize=50_000)
def _short(text: str) -> str:
    """Redact one of the many short texts of a record, of which most come again: with each host, and each message."""
    return redact(text).text


def _may_hold(lower: str) -> bool:
    return any(hint in lower for hint in _HINTS)


class Redactor:
    """One pass through lines, in bounded memory; `counts` says what was taken out so far."""

    def __init__(self) -> None:
        """Begin outside of any private key."""
        self.counts: Counter[str] = Counter()
        self._key_lines = 0  # of the private key that we are in, 0 outside of one
        self._strange = 0

    def lines(self, lines: Iterable[str]) -> Iterator[str]:
        """Given lines without their ends, give them without secrets; of the lines of a private key, the first alone."""
        waiting = iter(lines)
        while block := list(itertools.islice(waiting, _BLOCK)):
            # Most rules have nothing to look for in most blocks: to ask each of them at each line would take most of the time.
            lower = "\n".join(block).lower()
            rules = [rule for rule in RULES if any(hint in lower for hint in rule.hints)] if _may_hold(lower) else ()
            for line in block:
                redacted = self._in_key(line, rules) if self._key_lines else self._outside(line, rules)
                if redacted is not None:
                    yield redacted

    def _outside(self, line: str, rules: Sequence[Rule]) -> str:
        if len(line) > LONGEST_LINE:
            return self._mark(LONG_RULE)
        if "PRIVATE KEY" in line or "PuTTY" in line:
            line = self._without_keys(line)
        lower = line.lower()
        for rule in rules:
            for hint in rule.hints:
                if hint in lower:
                    line = self._without(rule, line)
                    break
        return line

    def _without(self, rule: Rule, line: str) -> str:
        found = [each for each in rule.pattern.finditer(line) if not _is_gone(each["secret"]) and rule.counts(each)]
        if not found:
            return line
        parts, at = [], 0
        for each in found:
            parts += [line[at : each.start("secret")], self._mark(rule.name)]
            at = each.end("secret")
        return "".join([*parts, line[at:]])

    def _without_keys(self, line: str) -> str:
        """Take out the private keys that stand on one line, as JSON has them, and note one that goes on below it."""
        parts, at = [], 0
        while begins := KEY_BEGINS.search(line, at):
            parts += [line[at : begins.start()], self._mark(KEY_RULE)]
            ends = KEY_ENDS.search(line, begins.end())
            if ends is None:
                self._key_lines, self._strange, at = 1, 0, len(line)
                break
            at = ends.end()
        return "".join([*parts, line[at:]])

    def _in_key(self, line: str, rules: Sequence[Rule]) -> str | None:
        """Return what comes after the end of a private key, else nothing; a line that cannot be of one ends it, too."""
        self._key_lines += 1
        if ends := KEY_ENDS.search(line):
            self._key_lines = 0
            rest = line[ends.end() :]
            return self._outside(rest, rules) if rest.strip("\"'\\n,;}] \r") else None
        self._strange += KEY_LINE.search(line) is None
        if self._strange > _STRANGE_LINES or self._key_lines > _KEY_LINES:
            self._key_lines = 0
        return None

    def _mark(self, rule: str) -> str:
        self.counts[rule] += 1
        return f"[redacted: {rule}]"
