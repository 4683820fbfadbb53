"""The screen of a diagnosis: the likeliest causes, and what changed. Lines of rich, to be printed."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from incidentctl import changes
from incidentctl.causes import Cause
from incidentctl.history import History
from incidentctl.judgement import Judgement, listed
from incidentctl.text import plain

MANY_HOSTS = 12  # from here on hosts are counted, not named
_FIRST, _REST = 3, 3  # causes that are told with their evidence, and those that have one line
_LINES = 4  # of evidence for one cause
_CHANGED, _CHANGED_LEAST, _ROOM = 6, 3, 30  # changes: most and least, by what is left of so many lines
_MARKS = {"critical": "red", "warning": "yellow"}


def screen(judged: Judgement, history: History, current: str | None, width: int) -> Iterator[Text]:
    """Give what a person reads first: at most 30 lines, none longer than `width`.

    `current` is the severity that the incident has, None outside of one.
    """
    lines = [*_causes(judged.causes), *_consequences(judged, current)]
    lines += _changes(history, max(_CHANGED_LEAST, min(_CHANGED, _ROOM - len(lines) - 4)))
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
        against = cause.against[: max(_LINES - len(cause.supports), 1)]
        for text in cause.supports[: _LINES - len(against)]:
            yield Text(f"        + {plain(text)}")
        for text in against:
            yield Text(f"        - {plain(text)}", style="dim")
    for cause in found[_FIRST : _FIRST + _REST]:
        yield Text(f"   {cause.score:>3}  ") + _head(cause)
    if len(found) > _FIRST + _REST:
        yield Text(f"        and {len(found) - _FIRST - _REST} more, less likely", style="dim")


def _head(cause: Cause) -> Text:
    return Text(f"{plain(cause.title)} ({listed(cause.hosts)})")


def _consequences(judged: Judgement, current: str | None) -> Iterator[Text]:
    for number, text in enumerate(judged.impact.told()):
        yield _title("        " if number else "Impact  ") + Text(text)
    yield _title("Suggested severity  ") + Text(judged.severity(current))


def _changes(history: History, most: int) -> Iterator[Text]:
    if history.onset is not None:
        yield _title("Onset  ") + Text(plain(f"{changes.clock(history.onset.at)}: {history.onset.source}"))
    if history.changes:
        yield _title(f"What changed, {'nearest to the onset' if history.onset else 'newest'} first")
    for row in history.changes[:most]:
        yield Text(f"  {row.kind:<13} {plain(changes.sentence(row), 500)}")
    if len(history.changes) > most:
        yield Text(f"  and {len(history.changes) - most} more", style="dim")
    for note in history.notes[:2]:
        yield Text(f"  {plain(note)}", style="yellow")


def _title(text: str) -> Text:
    return Text(text, style="bold")
