"""SQL, cut into statements of words, without being run: comments, quotes and dollar quoting of the usual databases.

Where databases read the same text in different ways, it is not guessed: UnclearError.
"""

from __future__ import annotations

import re

from ansible_collections.incidentctl.response.plugins.module_utils._migration import UnclearError

MOST_STATEMENTS = 5_000
TEXT = "''"  # stands for a string, whose content never matters here
# A word, or a name in quotes, with what qualifies it: public."order". Letters of all languages are letters.
_PLAIN = r"(?:[^\W\d][\w$]*|\"(?:[^\"]|\"\")*\"|`[^`]*`)"
_PIECE = re.compile(
    r"(?P<space>\s+|--[^\n]*)"
    r"|(?P<comment>/\*)"
    r"|(?P<escaped>[eE]'(?:[^'\\]|''|\\.)*')"
    r"|(?P<string>(?:[nNbBxX]|[uU]&)?'(?:[^']|'')*')"
    r"|(?P<dollar>\$(?:[^\W\d]\w*)?\$)"
    r"|(?P<name>" + _PLAIN + r"(?:\s*\.\s*" + _PLAIN + r")*)"
    r"|(?P<number>\d[\w.]*)"
    r"|(?P<sign>[^\s\w'\"`$#{}\\])",
    re.DOTALL,
)


def statements(text: str) -> list[list[str]]:
    """Return the statements of a text, each as its words: names as written, keywords in capitals only if they were.

    Raise UnclearError where it cannot be read with certainty.
    """
    found: list[list[str]] = [[]]
    at = 0
    while at < len(text):
        match = _PIECE.match(text, at)
        if match is None:
            raise UnclearError(f"its SQL has {text[at]!r} where that may mean several things")
        kind, piece, at = match.lastgroup, match[0], match.end()
        if kind == "space":
            continue
        if kind == "comment":
            at = _end_of_comment(text, at)
        elif kind == "dollar":
            at = text.find(piece, at) + len(piece)
            if at < match.end() + len(piece):
                raise UnclearError("a quotation in its SQL does not end")
            found[-1].append(TEXT)
        elif kind in ("string", "escaped"):
            # For some databases a backslash takes the meaning from the quote after it, for others it does not.
            if kind == "string" and "\\'" in piece:
                raise UnclearError("a string in its SQL has a backslash before a quote")
            found[-1].append(TEXT)
        elif piece == ";":
            found.append([])
            if len(found) > MOST_STATEMENTS:
                raise UnclearError(f"its SQL has more than {MOST_STATEMENTS} statements")
        else:
            if '"' in piece and "\\" in piece:
                raise UnclearError("a string in its SQL has a backslash before a quote")
            found[-1].append(re.sub(r"\s*\.\s*", ".", piece) if kind == "name" else piece)
    return [words for words in found if words]


def _end_of_comment(text: str, at: int) -> int:
    end = text.find("*/", at)
    if end < 0:
        raise UnclearError("a comment in its SQL does not end")
    if text[at : at + 1] in ("!", "+", "M") and "!" in text[at : at + 2]:
        raise UnclearError("a comment in its SQL is run by some databases")
    if "/*" in text[at:end]:
        raise UnclearError("a comment in its SQL stands in another")  # PostgreSQL counts them, others do not
    return end + 2
