"""What lines of a log have in common that say the same: all but numbers, ids, paths and addresses. Pure.

Thousands of lines that are alike are understood once. So this has to be cheap for each of them.
"""

from __future__ import annotations

import re

_NO_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_ID = re.compile(rb"[0-9a-f]{6,}(?:-[0-9a-f]{4,}){0,4}")
# No word in capitals comes right after it: what stands before a level may say that it is none.
_PATH = re.compile(rb" /[\w./-]*[\w/](?=: | [^A-Z]|$)", re.MULTILINE)
_MAIL = re.compile(rb" \w[\w.+-]*@[a-z0-9.-]*[a-z0-9](?= [^A-Z]|$)", re.MULTILINE)
_LEVEL_NUMBER = re.compile(rb"(?:evel|everity|everity_?[Nn]umber|riority|RIORITY|velno|el_value)\" ?: ?\"?\d+")
_LETTERS = bytes.maketrans(b"0123456789", b"abcdefghij")
_SPELLED = 32


class Alike:
    """Tells of which lines it is known that they say the same."""

    def __init__(self) -> None:
        """Begin with a log of which nothing is known yet."""
        self._levels: list[tuple[bytes, bytes]] = []  # that JSON says by their numbers, which are spelled: they tell

    def by_numbers(self, lines: bytes) -> bytes:
        """Return lines without that in which most that are alike differ: each number is 0."""
        for level, spelled in self._levels:
            lines = lines.replace(level, spelled)
        lines = lines.translate(_NO_DIGITS)
        return lines.replace(b"0000", b"0").replace(b"000", b"0").replace(b"00", b"0")

    def by_looks(self, lines: bytes) -> bytes:
        """Return lines without all that varies by its looks: this costs more than all the rest."""
        if b" /" in lines:
            lines = _PATH.sub(b" /x", lines)
        if b"@" in lines:
            lines = _MAIL.sub(b" x@x", lines)
        return self.by_numbers(_ID.sub(b"0", lines))

    def tells(self, line: bytes) -> bool:
        """Say whether what is left of a line tells all that it says. If not, it will from now on."""
        levels = set(_LEVEL_NUMBER.findall(line)) if b"{" in line else set()
        new = levels.difference(level for level, _spelled in self._levels)
        if new and len(self._levels) + len(new) <= _SPELLED:
            self._levels += [(level, level.translate(_LETTERS)) for level in new]
            self._levels.sort(key=lambda each: -len(each[0]))  # 50 before the 5 in it
        return not new
