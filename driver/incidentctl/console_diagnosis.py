"""The screen of a diagnosis: the likeliest causes, and what changed. Lines of rich, to be printed."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from incidentctl import changes
from incidentctl.all_well import AllWell
from incidentctl.causes import Cause
from incidentctl.dependencies import Root
from incidentctl.history import History
from incidentctl.judgement import Judgement, listed
from incidentctl.text import readable as plain

MANY_HOSTS = 12  # from here on hosts are counted, not named
_FIRST, _REST = 3, 2  # causes that are told with their evidence, and those that have one line
_LINES = 3  # of evidence for one cause
_MUCH_LESS = 2  # times less likely than the first: told on one line
_ROOTS, _LONG = 2, 500
_ROOM, _MOST = 23, 31  # lines of a terminal of 24, and those that are used of a larger one
_CHANGED = 6  # changes
_MARKS = {"critical": "red", "warning": "yellow"}


def screen(
    judged: Judgement, history: History, current: str | None, width: int, height: int = _ROOM + 1
) -> Iterator[Text]:
    """Give what a person reads first, none of it longer than `width`; 23 lines at most, or some more where there is room.

    `current` is the severity that the incident has, None outside of one.
    """
    first = _well(judged.all_well) if judged.all_well else _causes(judged.causes)
    lines = [*first, *deepest(judged.roots), *_consequences(judged, current)]
    lines += _changes(history, max(_ROOM, min(height - 1, _MOST)) - len(lines))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
        yield line


def _causes(found: tuple[Cause, ...]) -> Iterator[Text]:
    if not found:
        yield Text("No cause was found in logs, resources, dependencies and releases.")
        return
    yield _title("What is likeliest")
    for number, cause in enumerate(found[:_FIRST], 1):
        yield Text(f"{number}. {cause.score:>3}  ", style=_MARKS.get(cause.severity, "")) + _head(cause)
        if _MUCH_LESS * cause.score < found[0].score:
            continue  # nobody weighs what speaks for it
        against = cause.against[: max(_LINES - len(cause.supports), 1)]
        for text in cause.supports[: _LINES - len(against)]:
            yield Text(f"        + {plain(text)}")
        for text in against:
            yield Text(f"        - {plain(text)}", style="dim")
    for cause in found[_FIRST : _FIRST + _REST]:
        yield Text(f"   {cause.score:>3}  ") + _head(cause)
    if len(found) > _FIRST + _REST:
        yield Text(f"        and {len(found) - _FIRST - _REST} more, less likely", style="dim")


def _well(found: AllWell) -> Iterator[Text]:
    yield _title(plain(found.told, _LONG))
    yield from (Text(f"  noted  {plain(text, _LONG)}", style="dim") for text in found.noted)
    for number, text in enumerate(found.next):
        yield _title("         " if number else "Look next") + Text(f"  {plain(text, _LONG)}")


def deepest(roots: tuple[Root, ...]) -> Iterator[Text]:
    """Give what fails under others, the deepest first: a few lines, none where nothing does."""
    under = [root for root in roots if root.depth]
    for number, root in enumerate(under[:_ROOTS]):
        yield _title("         " if number else "Deepest  ") + Text(plain(root.told(), _LONG))


def _head(cause: Cause) -> Text:
    return Text(f"{plain(cause.title)} ({listed(cause.hosts)})")


def _consequences(judged: Judgement, current: str | None) -> Iterator[Text]:
    for number, text in enumerate(judged.impact.told()):
        yield _title("        " if number else "Impact  ") + Text(text)
    if judged.data:
        yield _title("Data    ") + Text(plain("; ".join(judged.data), _LONG))
    yield _title("Suggested severity  ") + Text(judged.severity(current))


def _changes(history: History, room: int) -> Iterator[Text]:
    """Give what changed, as far as there is room; what matters most of it stands among the causes."""
    lines = []
    if history.onset is not None:
        lines.append(_title("Onset  ") + Text(plain(f"{changes.clock(history.onset.at)}: {history.onset.source}")))
    lines += [Text(f"  {plain(note)}", style="yellow") for note in history.notes[:1]]
    yield from lines[:room]
    rows = [Text(f"  {row.kind:<13} {plain(changes.sentence(row), 500)}") for row in history.changes]
    left = min(room - len(lines) - 1, _CHANGED + 1)
    if left < min(len(rows), 2) or not rows:  # a title without a change below it tells nothing
        return
    yield _title(f"What changed, {'nearest to the onset' if history.onset else 'newest'} first")
    if len(rows) > left:
        rows = [*rows[: left - 1], Text(f"  and {len(rows) - left + 1} more", style="dim")]
    yield from rows


def _title(text: str) -> Text:
    return Text(text, style="bold")
