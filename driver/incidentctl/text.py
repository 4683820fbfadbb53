"""Text that people and hosts wrote, made safe to show: one line, no control characters, no endless length; and misspelt."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable

from incidentctl.redaction import redact

SHOWN = 300  # characters of one typed text that a screen needs; the record has them all


def plain(text: object, limit: int = SHOWN) -> str:
    """Given anything, return it on one line with what is not printable made visible, cut to `limit` characters.

    Not printable are control characters, escape sequences, line ends and the marks that turn the direction of writing.
    """
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text).encode("utf-8", "replace").decode())
    return shown if len(shown) <= limit else f"{shown[:limit]}… ({len(shown)} characters)"


def readable(text: object, limit: int = SHOWN) -> str:
    """Given anything, return it as `plain` does, and without the secrets in it, which are looked for before it is cut."""
    return plain(redact(str(text)).text, limit)


def fitted(text: str, width: int, height: int) -> str:
    """Given lines and the size of a terminal, return them cut to its width; of too many the middle is left out."""
    lines = [line[at : at + width] for line in text.splitlines() for at in range(0, max(len(line), 1), width)]
    room = max(height - 1, 4)
    return "\n".join(lines if len(lines) <= room else [*lines[:2], "  …", *lines[3 - room :]])


def wrapped(text: str, width: int) -> str:
    """Given lines, return them wrapped between words, indented by two more than they were; what is to be typed stays whole."""
    return "\n".join(part for line in text.splitlines() for part in _wrapped(line, width))


def _wrapped(line: str, width: int) -> list[str]:
    if len(line) <= width or line.lstrip().startswith(("Fix:", "Next:")):
        return [line]
    more = " " * min(len(line) - len(line.lstrip()) + 2, width // 2)
    return textwrap.wrap(line, width, subsequent_indent=more, break_on_hyphens=False, break_long_words=False)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean X?)` when something known is close to the word, else nothing."""
    close = difflib.get_close_matches(word, sorted(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
