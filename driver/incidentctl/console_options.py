"""The screen of the question: which way out, with the figures and the reason. Lines of rich, to be printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from incidentctl import approval
from incidentctl.options import unadvised
from incidentctl.text import readable as plain

Row = Mapping[str, Any]

_ROOM = 21  # lines of a terminal of 24 that are left beside the question
_LEAST = 12  # columns that a title keeps, however wide the figures are
_HEAD = ("Ways out", "sure", "downtime", "data at risk")
_LONG = 2000  # characters of one line: a fact is told whole


def screen(options: Sequence[Row], width: int, height: int | None = None, judged: Row | None = None) -> Iterator[Text]:
    """Give what a person needs to choose, in `height` lines of a terminal (None: all of it).

    The marker and the word say which is recommended; colour only repeats it. `judged` is what the diagnosis came to.
    """
    room = None if height is None else max(_ROOM, height - 3)
    lines = [*_table(options, width), Text(), *_reason(options, width, judged)]
    for option in (option for option in options if option["feasible"]):
        steps = _steps(option, width)
        # Of what does not fit nothing is begun: half a step would mislead.
        if room is not None and len(lines) + len(steps) >= room:
            lines.append(Text("  i and a letter shows what each would do", style="dim"))
            break
        lines += steps
    for line in lines:
        line.truncate(width, overflow="ellipsis")
        yield line


def facts(options: Sequence[Row], letter: str, width: int) -> Iterator[Text]:
    """Give what one option's figures were made from, and what it would do; the reason why not, if it is not possible."""
    option = next(option for option in options if option["letter"] == letter.upper())
    yield Text(f"{option['letter']}  {plain(option['title'])}: {_sure(option)}", style="bold")
    if not option["feasible"]:
        yield from _wrapped(f"not possible: {option['why_not']}", width, "    ")
    for fact in option["because"]:
        yield from _wrapped(fact, width, "    ", "         ")
    yield from _steps(option, width)


def plan(option: Row, plans: Mapping[str, Any]) -> Iterator[Text]:
    """Give what an option would do on the hosts, as they were when it was looked at, and by which hash that is named."""
    found = plans.get(option["key"])
    if option["feasible"] and found:
        yield Text(f"{option['letter']}  plan {approval.short(found)}", style="bold")
        for line in approval.lines(found):
            yield Text(f"    {plain(line, _LONG)}")


def asked_about(word: str, options: Sequence[Row]) -> str | None:
    """Return the letter of the option that a person asks about: i of the first one, `i b` (or `ib`, `?b`) of another."""
    if word[:1] not in ("i", "?"):
        return None
    letters = {option["letter"].lower(): str(option["letter"]) for option in options}
    return letters.get(word[1:].strip() or str(options[0]["letter"]).lower())


def _table(options: Sequence[Row], width: int) -> Iterator[Text]:
    cells = [
        (_mark(o), plain(o["title"]), _sure(o), plain(o["downtime"]), plain(o["data_at_risk"]))
        for o in options
        if o["feasible"]
    ]
    sure, downtime, data = (max(map(cell_len, [_HEAD[n], *(row[n + 1] for row in cells)])) for n in (1, 2, 3))
    data = min(data, max(cell_len(_HEAD[3]), width - sure - downtime - 5 - 6 - _LEAST))
    title = max(_LEAST, min(max([30, *(cell_len(row[1]) for row in cells)]), width - sure - downtime - data - 5 - 6))
    yield Text(f"{_HEAD[0]:<{title + 5}}  {_HEAD[1]:>{sure}}  {_HEAD[2]:<{downtime}}  {_HEAD[3]}", style="bold")
    for option in options:
        if not option["feasible"]:
            yield Text(f"{_mark(option)}not possible: {plain(option['why_not'], _LONG)}", style="dim")
            continue
        row = (
            _mark(option),
            plain(option["title"]),
            _sure(option),
            plain(option["downtime"]),
            plain(option["data_at_risk"]),
        )
        line = Text(style="bold" if option["recommended"] else "")
        line.append(row[0]).append(_cut(row[1], title)).append(f"  {row[2]:>{sure}}  ")
        line.append(_cut(row[3], downtime)).append("  ").append(row[4])
        yield line


def _reason(options: Sequence[Row], width: int, judged: Row | None) -> Iterator[Text]:
    best = next((option for option in options if option["recommended"]), None)
    text = unadvised(options, judged)
    if best is not None:
        text = f"{best['letter']} is recommended: {best.get('reason') or 'it is the likeliest to help.'}"
    for line in _wrapped(text, width, "", "  "):
        line.stylize("bold")
        yield line


def _steps(option: Row, width: int) -> list[Text]:
    return [
        line
        for step in option["steps"]
        for line in _wrapped(f"{option['letter']} would: {step}", width, "  ", "      ")
    ]


def _wrapped(text: str, width: int, first: str, rest: str = "") -> Iterator[Text]:
    """Break a line at spaces so that it fits, its continuation further in."""
    room = max(width - max(len(first), len(rest or first)), _LEAST)
    for number, line in enumerate(Text(plain(text, _LONG)).wrap(_MEASURE, room)):
        yield Text(first if number == 0 else rest or first) + line


def _mark(option: Row) -> str:
    return f"{'>' if option['recommended'] else ' '} {option['letter']}  "


def _sure(option: Row) -> str:
    if not option["feasible"]:
        return "not possible"
    return "unknown" if option["confidence"] is None else f"{option['confidence']} %"


def _cut(text: str, width: int) -> Text:
    """Return the text in just so many columns."""
    shown = Text(text)
    shown.truncate(width, overflow="ellipsis", pad=True)
    return shown


_MEASURE = Console(
    file=None, width=1000, color_system=None
)  # rich wants one to break lines; nothing is printed with it
