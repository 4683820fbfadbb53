"""What the Tab key offers for each argument and option. Silent where there is nothing to offer, whatever the reason."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from incidentctl.incident import Incident

_PATIENCE_S = "2"  # a database that is away would keep the terminal

Found = Iterable[tuple[str, str]]
Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _completer(find: Callable[[click.Context, str], Found], folders: bool = False) -> Completer:
    def complete(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
        os.environ.setdefault("PGCONNECT_TIMEOUT", _PATIENCE_S)
        found: dict[str, str] = {}
        with contextlib.suppress(Exception):  # an error would be written into the line that is being typed
            found = dict(find(context, typed))
        named = [CompletionItem(n, help=t or None) for n, t in found.items() if n.lower().startswith(typed.lower())]
        return [CompletionItem(typed, type="dir"), *named] if folders else named

    return complete


def _plain(names: Iterable[str]) -> Found:
    return ((name, "") for name in names)


def _config(context: click.Context) -> str | None:
    found: str | None = context.params.get("config")
    return found


def _named(context: click.Context) -> str | None:
    """The incident that stands on the line already."""
    # What stands before an option without its value is left among the args.
    words = (context.params.get("incident"), *(context.params.get("words") or ()), *context.args)
    return next((word for word in words if word and word.upper().startswith("INC-")), None)


def _incidents(wanted: Callable[[Incident], bool]) -> Callable[[click.Context, str], Found]:
    def find(context: click.Context, typed: str) -> Found:
        from incidentctl import candidates

        return candidates.incidents(_config(context), typed, wanted)

    return find


def _open(context: click.Context, typed: str) -> Found:
    from incidentctl import candidates

    return _incidents(candidates.is_open)(context, typed)


def _ended(context: click.Context, typed: str) -> Found:
    from incidentctl import candidates

    return _incidents(lambda incident: not candidates.is_open(incident))(context, typed)


def _options(context: click.Context, _typed: str) -> Found:
    """The ways out; of an incident that has weighed them those that are possible, with how sure each is."""
    from incidentctl import candidates
    from incidentctl.options import KEYS
    from incidentctl.text import readable

    try:
        weighed = candidates.the_incident(_config(context), _named(context)).options
    except Exception:  # run declares one; and without a record they have their names all the same
        weighed = ()
    able = [option for option in weighed if option.get("feasible")]
    if not able or context.info_name == "run":
        return _plain(KEYS)
    return ((option["key"], readable(f"{option.get('title')} ({option.get('confidence')} % sure)")) for option in able)


def _decides(context: click.Context, typed: str) -> Found:
    """[INCIDENT] OPTION."""
    if context.params.get("words"):
        return _options(context, typed)
    return [*_options(context, typed), *_open(context, typed)]


def _contained(context: click.Context, _typed: str) -> Found:
    from incidentctl import candidates

    held = candidates.the_incident(_config(context), _named(context)).contained
    return ((f"{row['capability']}/{row['target']}", f"on {row['host']}") for row in held)


def _services(context: click.Context, _typed: str) -> Found:
    from incidentctl import candidates

    return candidates.services(_config(context), context.params.get("inventory") or ())


def _severities(_context: click.Context, _typed: str) -> Found:
    from incidentctl.incident import SEVERITIES

    return _plain(SEVERITIES)


def _capabilities(_context: click.Context, _typed: str) -> Found:
    from incidentctl import plan

    return ((name, plan.MITIGATIONS.get(name, "")) for name in sorted(plan.PLAYABLE))


def _guards(_context: click.Context, _typed: str) -> Found:
    from incidentctl.guards import NAMES

    return _plain(NAMES)


def _playbooks(context: click.Context, _typed: str) -> Found:
    from incidentctl import candidates

    return _plain(candidates.settings(_config(context)).custom_playbooks)


def _drills(context: click.Context, _typed: str) -> Found:
    from incidentctl import candidates, drills

    return _plain(drills.known(drills.folder_of(candidates.settings(_config(context)))))


def _decided(context: click.Context, _typed: str) -> Found:
    from incidentctl import candidates

    decision = candidates.the_incident(_config(context), _named(context)).decision
    return _plain([str(decision["option"])] if decision else ())


incidents = _completer(_incidents(lambda _incident: True))
copied = _completer(_incidents(lambda _incident: True), folders=True)
open_incidents = _completer(_open)
ended_incidents = _completer(_ended)
options = _completer(_options)
decides = _completer(_decides)
decided = _completer(_decided)
contained = _completer(_contained)
services = _completer(_services)
severities = _completer(_severities)
capabilities = _completer(_capabilities)
guards = _completer(_guards)
playbooks = _completer(_playbooks)
drills = _completer(_drills)
