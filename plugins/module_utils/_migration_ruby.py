"""Ruby, as far as migrations are written in it: lines with the blocks that they open, and the arguments of a call.

Whatever is not as plain as that raises UnclearError; nothing is run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils._migration import UnclearError

DEEPEST = 50
_HEREDOC = re.compile(r"<<([~-]?)(['\"]?)([A-Z_][A-Z_0-9]*)\2")
# A string, or one that does not end, which is a group: else a line of many quotes is searched again from each of them.
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*(?:'|(\\?\Z))|\"(?:[^\"\\]|\\.)*(?:\"|(\\?\Z))")
_UNSURE = re.compile(r"[/`?]['\"/]|%[qQrsx]?[({\[<|!]|(?<!\w)/|`")
_OPENS = re.compile(
    r"^(?:class|module|def|if|unless|case|while|until|begin|for)\b|(?:=|\|\|)\s*(?:if|case|begin)\b|\bdo(?:\s*\|[^|]*\|)?$"
)
_CALL = re.compile(r"^(?P<verb>(?:\w+\.)?[a-z_]\w*[!?]?)(?:\s*\((?P<within>.*)\)|\s+(?P<after>[^=\s].*))?$", re.DOTALL)
_BLOCK = re.compile(r"\s*\bdo(?:\s*\|([^|]*)\|)?$")
_PAIR = re.compile(r"^(?::?(?P<old>\w+)\s*=>|(?P<new>\w+):)\s*(?P<value>.+)$", re.DOTALL)
_WORD = re.compile(r"^:(\w+[?!]?)$|^:?\"([^\"\\#]*)\"$|^:?'([^'\\]*)'$")
_LITERAL = re.compile(r"[:\"'\[\d-]|%[iIwW][\[({]|(?:true|false|nil|heredoc_\d+_)\b")
_CONDITION = re.compile(r"\s(?:if|unless|while|until|rescue|and|or)\s|&&|\|\||\?")


class Line(NamedTuple):
    """A line of code, the lines of the block that it opens, and the texts of its here-documents."""

    text: str
    block: list[Line]
    documents: dict[str, str]
    opens: bool = False


class Call(NamedTuple):
    """A call: its name, its arguments in order and by name as they are written, and the name that a block gives."""

    verb: str
    positional: list[str]
    named: dict[str, str]
    block_name: str


def tree(text: str) -> list[Line]:
    """Return the lines of a program, nested as its blocks are. Raise UnclearError if that is not certain."""
    documents: dict[str, str] = {}
    top = Line("", [], documents)
    open_blocks = [top]
    for line in _joined(_code(text, documents)):
        if line == "end":
            if len(open_blocks) == 1:
                raise UnclearError("a block ends that did not begin")
            open_blocks.pop()
            continue
        if line.startswith("end") and re.match(r"end\b", line):
            raise UnclearError("a block goes on after its end")
        opens = bool(_OPENS.search(_blank(line))) and not re.search(r"\bend$", line)
        found = Line(line, [], documents, opens)
        open_blocks[-1].block.append(found)
        if opens:
            open_blocks.append(found)
            if len(open_blocks) > DEEPEST:
                raise UnclearError("its blocks are nested too deeply")
    if len(open_blocks) > 1:
        raise UnclearError("a block does not end")
    return top.block


def call(text: str) -> Call:
    """Return a call that stands alone on a line. Raise UnclearError if that is not what it is."""
    block = _BLOCK.search(text)
    body = text[: block.start()] if block else text
    if _CONDITION.search(_blank(body)):
        raise UnclearError("it depends on a condition")
    match = _CALL.match(body.strip())
    if match is None:
        raise UnclearError("it is no plain call")
    positional: list[str] = []
    named: dict[str, str] = {}
    for part in _cut((match["within"] or match["after"] or "").strip(), ","):
        pair = _PAIR.match(part)
        if pair:
            named[pair["old"] or pair["new"]] = pair["value"].strip()
        elif _LITERAL.match(part):
            positional.append(part)
        else:  # options in a variable or in braces may say anything
            raise UnclearError("its arguments are put together when it runs")
    return Call(match["verb"], positional, named, (block[1] or "").strip() if block else "")


def name(text: str | None) -> str:
    """Return what a symbol or a plain string says. Raise UnclearError if it is neither."""
    match = _WORD.match(text or "")
    if match is None:
        raise UnclearError("a name is put together when it runs")
    return match[1] or match[2] or match[3] or ""


def _code(text: str, documents: dict[str, str]) -> Iterator[str]:
    """Give the lines without comments, with each here-document taken out and named in its place."""
    waiting = iter(text.splitlines())
    for raw in waiting:
        if raw.startswith("__END__"):
            return
        if raw.startswith("=begin"):
            raise UnclearError("a comment of several lines")
        line = _without_comment(raw)
        ends, named = list(_HEREDOC.finditer(line)), f"heredoc_{len(documents)}_"
        if len(ends) > 1:
            raise UnclearError("two here-documents on one line")
        if ends:
            line = _HEREDOC.sub(named, line)
            documents[named] = _document(waiting, ends[0][3])
        yield from (part for part in _cut(line.strip(), ";") if part)


def _document(lines: Iterator[str], end: str) -> str:
    content = []
    for line in lines:
        if line.strip() == end:
            return "\n".join(content)
        content.append(line)
    raise UnclearError("a here-document does not end")


def _without_comment(line: str) -> str:
    # The quotes of a here-document's end are no string.
    blank = _blank(_HEREDOC.sub(lambda match: "h" * len(match[0]), line))
    at = blank.find("#")
    kept, blank = (line, blank) if at < 0 else (line[:at], blank[:at])
    if _UNSURE.search(blank) or "'" in blank or '"' in blank:
        raise UnclearError("a line of it can be read in several ways")
    return kept


def _blank(line: str) -> str:
    """Return a line with its strings blanked out, as long as it was; one that does not end stays."""
    return _QUOTED.sub(lambda match: match[0] if match.lastindex else "s" * len(match[0]), line)


def _joined(lines: Iterator[str]) -> Iterator[str]:
    """Join the lines of one statement: brackets that are open, a comma or an operator at the end."""
    whole, depth = "", 0
    for line in lines:
        whole = f"{whole} {line}" if whole else line
        blank = _blank(line)
        depth += sum(map(blank.count, "([{")) - sum(map(blank.count, ")]}"))
        if len(whole) > 100_000:
            raise UnclearError("a statement of it is too long")
        if depth <= 0 and not blank.endswith((",", "\\", "&&", "||", ".", "=>", "=", "+")):
            yield whole
            whole, depth = "", 0
    if whole:
        raise UnclearError("its last statement does not end")


def _cut(text: str, sign: str) -> list[str]:
    """Cut a text at each sign that stands in no string and no brackets."""
    parts, depth, begin, blank = [], 0, 0, _blank(text)
    for at, character in enumerate(blank):
        depth += (character in "([{") - (character in ")]}")
        if character == sign and depth == 0:
            parts.append(text[begin:at].strip())
            begin = at + 1
    parts.append(text[begin:].strip())
    return [part for part in parts if part]
