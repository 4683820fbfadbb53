"""Text that people and hosts wrote, made safe to show: one line, no control characters, no endless length."""

from __future__ import annotations

SHOWN = 300  # characters of one typed text that a screen needs; the record has them all


def plain(text: object, limit: int = SHOWN) -> str:
    """Given anything, return it on one line with what is not printable made visible, cut to `limit` characters.

    Not printable are control characters, escape sequences, line ends and the marks that turn the direction of writing.
    """
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text).encode("utf-8", "replace").decode())
    return shown if len(shown) <= limit else f"{shown[:limit]}… ({len(shown)} characters)"
