"""What lines of a log have in common that say the same: all but numbers, ids, paths and addresses. Pure.

Thousands of lines that are alike are understood once. So this has to be cheap for each of them.
"""

from __future__ import annotations

import re

# Digits become blanks, and what splits at blanks otherwise takes the place of digits: one split has all numbers out.
_NUMBERS_APART = bytes.maketrans(b"0123456789 \t\n\r\v\f", b"          123456")
_LINE_END = b"3"
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

    def by_numbers(self, lines: bytes) -> list[bytes]:
        """Return of each line that which is left without what most that are alike differ in: each number is 0."""
        return self.shape(lines).split(_LINE_END)[1:-1]

    def by_looks(self, lines: bytes) -> list[bytes]:
        """Return of each line that which is left without all that varies by its looks: this costs more than all the rest."""
        if b" /" in lines:
            lines = _PATH.sub(b" /x", lines)
        if b"@" in lines:
            lines = _MAIL.sub(b" x@x", lines)
        return self.by_numbers(_ID.sub(b"0", lines))

    def shape(self, text: bytes) -> bytes:
        """Return what is left of a text where each number is 0: to be held against others, not to be read."""
        for level, spelled in self._levels:
            text = text.replace(level, spelled)
        # The ends keep a number that the text begins or ends with.
        return b"0".join((b"\n%s\n" % text).translate(_NUMBERS_APART).split())

    def tells(self, line: bytes) -> bool:
        """Say whether what is left of a line tells all that it says. If not, it will from now on."""
        if b"{" not in line:
            return True
        new = set(_LEVEL_NUMBER.findall(line)).difference(level for level, _spelled in self._levels)
        if new and len(self._levels) + len(new) <= _SPELLED:
            self._levels += [(level, level.translate(_LETTERS)) for level in new]
            self._levels.sort(key=lambda each: -len(each[0]))  # 50 before the 5 in it
        return not new
