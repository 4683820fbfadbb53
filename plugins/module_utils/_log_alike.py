"""What lines of a log have in common that say the same: all but numbers, ids, paths and addresses. Pure.

Thousands of lines that are alike are understood once. So this has to be cheap for each of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

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
_BEFORE_ID = re.compile(rb"[^\d\n]+[^\d\na-f-]\Z")
_SPOTS, _SPOT = 6, 8  # how many places are known where lines have an id; by how many bytes before it
_LOOKED_AT = 64  # lines, where there are as many of which no other was like them


class Alike:
    """Tells of which lines it is known that they say the same."""

    def __init__(self) -> None:
        """Begin with a log of which nothing is known yet."""
        self._levels: list[tuple[bytes, bytes]] = []  # that JSON says by their numbers, which are spelled: they tell
        self._spots: list[tuple[re.Pattern[bytes], bytes]] = []  # an id with what comes before it; that with a 0

    def by_numbers(self, lines: Sequence[bytes]) -> list[bytes]:
        """Return of each line that which is left without what most that are alike differ in: each number is 0.

        So are ids where many lines have one.
        """
        text = b"\n".join(lines)
        for spot, blank in self._spots:
            text = spot.sub(blank, text)
        return self.shape(text).split(_LINE_END)[1:-1]

    def by_looks(self, lines: Sequence[bytes]) -> list[bytes]:
        """Return of each line that which is left without all that varies by its looks: this costs more than all the rest."""
        self._find_spots(lines)
        text = b"\n".join(lines)
        if b" /" in text:
            text = _PATH.sub(b" /x", text)
        if b"@" in text:
            text = _MAIL.sub(b" x@x", text)
        return self.shape(_ID.sub(b"0", text)).split(_LINE_END)[1:-1]

    def shape(self, text: bytes) -> bytes:
        """Return what is left of a text where each number is 0: to be held against others, not to be read."""
        for level, spelled in self._levels:
            text = text.replace(level, spelled)
        # The ends keep a number that the text begins or ends with.
        return b"0".join((b"\n%s\n" % text).translate(_NUMBERS_APART).split())

    def learns(self, lines: Sequence[bytes]) -> bool:
        """Say whether a level is said in these lines by a number that was not known to be one. From now on it is."""
        told = {level for line in lines if b"{" in line for level in _LEVEL_NUMBER.findall(line)}
        new = sorted(told.difference(level for level, _spelled in self._levels))[: _SPELLED - len(self._levels)]
        self._levels += [(level, level.translate(_LETTERS)) for level in new]
        self._levels.sort(key=lambda each: -len(each[0]))  # 50 before the 5 in it
        return bool(new)

    def tells(self, line: bytes) -> bool:
        """Say whether what is left of a line tells all that it says: each level that it says by a number."""
        return b"{" not in line or {level for level, _spelled in self._levels}.issuperset(_LEVEL_NUMBER.findall(line))

    def _find_spots(self, lines: Sequence[bytes]) -> None:
        """Learn where many lines have an id, by what stands before it: a search for just that costs next to nothing."""
        if len(lines) < _LOOKED_AT or len(self._spots) >= _SPOTS:
            return
        text = b"\n".join(lines[:_LOOKED_AT])
        befores = (text[max(0, found.start() - _SPOT) : found.start()] for found in _ID.finditer(text))
        spots = Counter(spot.group() for spot in map(_BEFORE_ID.search, befores) if spot)
        for spot, count in spots.most_common(_SPOTS - len(self._spots)):
            known = re.compile(re.escape(spot) + _ID.pattern), spot.replace(b"\\", rb"\\") + b"0"
            if 2 * count >= _LOOKED_AT and known not in self._spots:
                self._spots.append(known)
