"""What a report is made of: sections of paragraphs, tables, commands and lists. Pure."""

from __future__ import annotations

from dataclasses import dataclass

UNKNOWN = "unknown"


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
class Section:
    """A title, then paragraphs, tables (Table), commands (Command) and lists (tuples of strings) in order."""

    title: str
    blocks: tuple[str | Table | Command | tuple[str, ...], ...]
