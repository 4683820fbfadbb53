"""Text from a host, made fit to be shown and kept: bounded, no control characters, no obvious secrets."""

from __future__ import annotations

import re

HIDDEN = "<hidden>"
_COLOUR = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
# Of bounded length, and without what stands before it: a text of nothing but such words would take hours.
_WORD = r"(?:password|passwd|secret|token|api[_-]?key|credential)[\w-]{0,128}|\bauthorization|\b(?:set-)?cookie"
_SECRETS = (
    (
        re.compile(rf"(?i)((?:{_WORD})[\"']?\s*[:=]\s*)(?:(?:bearer|basic)\s+)?(\"[^\"]*\"|'[^']*'|[^\s,;&]+)"),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]{8,}"), rf"\1{HIDDEN}"),
    (re.compile(r"(://)[^/\s:@]*:[^/\s@]+@"), r"\1hidden@"),
)
_HINT = re.compile(r"(?i)passw|secret|token|api[_-]?key|credential|authoriz|cookie|bearer|://")
_HINTS = (
    "passw",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "credential",
    "authoriz",
    "cookie",
    "bearer",
    "://",
)


def plain(text: str) -> str:
    """Return `text` without the colours that were meant for a terminal."""
    return _COLOUR.sub("", text) if "\x1b" in text else text


def clean(text: str, limit: int) -> str:
    """Return `text` on one line, at most `limit` characters, safe to print on a terminal."""
    text = plain(text[: 4 * limit]).strip()
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " if c in "\t\r\n" else "\ufffd" for c in text)
    if _may_hold_secret(text):
        for pattern, replacement in _SECRETS:
            text = pattern.sub(replacement, text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _may_hold_secret(text: str) -> bool:
    """Do what `_HINT` does, at a tenth of its cost: but beyond ASCII it takes other letters for some ("ſ" for "s")."""
    if not text.isascii():
        return _HINT.search(text) is not None
    lower = text.lower()
    return any(hint in lower for hint in _HINTS)
