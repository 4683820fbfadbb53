"""What a report is made of: sections of paragraphs, tables, commands and lists. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

UNKNOWN = "unknown"

Points = Sequence[tuple[float, float]]  # moments in seconds since 1970, with what there was


@dataclass(frozen=True)
class Table:
    """Rows under a header."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Command:
    """What is to be copied into a shell as it stands."""

    text: str


@dataclass(frozen=True)
class Plot:
    """Lines over a while, drawn where that can be; what matters of it is said in a table beside it.

    `lines` are names with their points, `marks` names with their moments; `during` is from when to when it was out of order.
    Where there is no point for more than `gap_s` seconds, nothing is known.
    """

    title: str
    told: str
    query: str
    source: str
    unit: str
    span: tuple[float, float]
    gap_s: float
    lines: tuple[tuple[str, Points], ...]
    marks: tuple[tuple[str, float], ...] = ()
    during: tuple[float, float] | None = None


Block = str | Table | Command | Plot | tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """A title, then paragraphs, tables (Table), commands (Command), plots (Plot) and lists (tuples of strings) in order."""

    title: str
    blocks: tuple[Block, ...]
