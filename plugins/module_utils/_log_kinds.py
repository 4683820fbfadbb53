"""Kinds of lines of a log: what those say that are alike. A line is understood if no other before was like it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from ansible_collections.incidentctl.response.plugins.module_utils._log_alike import Alike
from ansible_collections.incidentctl.response.plugins.module_utils._log_lines import Line
from ansible_collections.incidentctl.response.plugins.module_utils._log_messages import Understanding, text_of
from ansible_collections.incidentctl.response.plugins.module_utils._log_scan import LINE_LIMIT
from ansible_collections.incidentctl.response.plugins.module_utils._log_traces import Trace, may_follow

_ALIKE_BYTES = 600  # of a line that is remembered for others
_KEPT = 6 << 20  # bytes of lines, or what is left of them, that are remembered
_ENTRY = 150  # bytes that each of them takes besides, about
_MEANINGS_KEPT = 8_000


class Kind:
    """Lines that are alike: what they say, and those among them that are not told yet."""

    __slots__ = ("beside", "by_field", "cause", "follows", "is_odd", "lines", "passed_on", "said", "times")

    def __init__(self, said: str | None, cause: str | None = None) -> None:
        """Begin with none; `said` is None if they are no errors."""
        self.said, self.cause = said, cause
        self.beside: bool | None = (
            None  # whether a line of them tells its cause, which is not always the same, beside its message
        )
        self.follows = self.passed_on = self.by_field = False
        self.is_odd = False  # may belong to the line before, or the line after to it, whatever that begins with
        self.times: tuple[float | None, ...] = ()  # known already, where no other line is like this one
        self.lines: list[bytes] = []

    def with_cause(self, cause: str | None) -> Kind:
        """Return the kind of those that say the same, but whose trace ends with this cause."""
        if cause == self.cause:
            return self
        kind = Kind(self.said, cause)
        kind.times, kind.by_field = self.times, self.by_field
        return kind


class _Known(dict[bytes, Kind]):
    """Kinds by what lines of theirs have in common; all are forgotten when they take too much room."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self._room = _KEPT

    def keep(self, key: bytes, kind: Kind) -> None:
        """Remember one."""
        self._room -= len(key) + _ENTRY
        if self._room < 0:
            self.clear()
            self._room = _KEPT
        self[key] = kind


class Kinds:
    """The kinds of lines of one log."""

    def __init__(self, understanding: Understanding, alike: Alike) -> None:
        """Begin with a log of which nothing is known yet."""
        self._understanding, self._alike = understanding, alike
        self._by_numbers, self._by_looks = _Known(), _Known()
        self._by_meaning: dict[tuple[Any, ...], Kind] = {}

    def of(self, lines: Sequence[bytes]) -> list[Kind]:
        """Return of which kind each of these lines is."""
        keys = self._alike.by_numbers(lines) if lines else []
        kinds = list(map(self._by_numbers.get, keys))
        new = [place for place, kind in enumerate(kinds) if kind is None]
        if not new:
            return cast("list[Kind]", kinds)
        unknown = [lines[place] for place in new]
        if self._alike.learns(unknown):
            return self.of(lines)
        for place, raw, look in zip(new, unknown, self._alike.by_looks(unknown)):
            kinds[place] = self._known(keys[place], look, raw)
        return cast("list[Kind]", kinds)

    def _known(self, key: bytes, look: bytes, raw: bytes) -> Kind:
        """Return of which kind a line is; if others can be like it, keep that for them."""
        kind = self._by_looks.get(look)
        if kind is None:
            kind = self._new(raw)
            if len(raw) > _ALIKE_BYTES or raw.startswith(b"<") or not self._alike.tells(raw):
                return kind  # of longer lines hardly two are alike; the number at the start of some is their priority
            kind = self._shared(kind, raw)
            self._by_looks.keep(look, kind)
        self._by_numbers.keep(key, kind)
        return kind

    def _shared(self, kind: Kind, raw: bytes) -> Kind:
        """Return the kind that all of one meaning are of: they say the same, and the same may follow them."""
        kind.times = ()
        meaning = (kind.said, kind.follows, kind.by_field, *Trace(text_of(raw), kind.cause).meaning)
        if len(self._by_meaning) >= _MEANINGS_KEPT:
            self._by_meaning.clear()
        return self._by_meaning.setdefault(meaning, kind)

    def _new(self, raw: bytes) -> Kind:
        error = self._understanding.of_line(Line(text_of(raw[:LINE_LIMIT])))
        kind = Kind(None) if error is None else Kind(error.said, error.cause)
        kind.follows = may_follow(raw)
        if error is not None:
            trace = Trace(error.line, error.cause)
            kind.passed_on, kind.beside = trace.passed_on, trace.told_beside
            kind.times = tuple(error.times)
            kind.by_field = self._understanding.is_by_field(raw, error.times[0])
        kind.is_odd = kind.follows or kind.passed_on
        return kind
