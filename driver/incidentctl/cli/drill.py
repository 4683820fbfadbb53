"""Practise: break hosts that may be broken, and see the response mend them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from incidentctl.cli import common, completing

if TYPE_CHECKING:
    from incidentctl.console import Console
    from incidentctl.drill_score import Score
    from incidentctl.session import Session


@click.command(short_help="Break hosts that may be broken, and see the response mend them.")
@click.argument("name", required=False, shell_complete=completing.drills)
@click.option("--all", "every", is_flag=True, help="All drills, one after the other, and a table in the end.")
@click.option("--clean", is_flag=True, help="Only take back: the drill that was cut off, or NAME.")
@click.option("--notify", is_flag=True, help="Tell people, as of any incident; each message begins with [DRILL].")
@common.inventory
@common.as_json
@common.config
def drill(
    name: str | None,
    every: bool,
    clean: bool,
    notify: bool,
    inventory: tuple[str, ...],
    as_json: bool,
    config: str | None,
) -> None:
    """Do a fault to the hosts that `drills.hosts` names, respond to it as ever, score that, and take all back.

    The containment counts as approved, and the option that is recommended is decided. Scored is whether the cause is
    among the first three, whether all was well again before the fault was taken back, and how long it took. A drill is
    an incident of the record, kept out of figures and past runs; nobody is told without --notify.

    Without NAME: which drills there are. Exit code 0: recovered by the recommended option; 12: not; 11: recovered, but
    the cause was not among the first three, or not all of it could be taken back.

    \b
    incidentctl drill disk_full
    incidentctl drill --all --json
    incidentctl drill --clean
    """
    if clean + every + (name is not None and not clean) > 1:
        raise click.UsageError("One of NAME, --all and --clean; --clean may have a NAME.")
    common.acts()  # whatever ends it, it takes back what it has broken first
    with common.opened(config, inventory, quiet=as_json) as (session, console):
        from incidentctl import drill as drilling

        if not (clean or every or name is not None):
            _list(session, console, as_json)
            return
        try:
            if clean:
                done = drilling.clean(session, name, console.show)
                console.say(console.plain(f"{done} is taken back." if done else "There is nothing to take back."))
            else:
                _run(session, console, name, notify, as_json)
        except KeyboardInterrupt:
            console.close()
            left = drilling.left_behind(session)
            told = f"{left} is not taken back: {drilling.CLEAN}" if left else "Nothing is left broken."
            raise KeyboardInterrupt(console.plain(told)) from None


def _list(session: Session, console: Console, as_json: bool) -> None:
    from incidentctl import drills

    folder = drills.folder_of(session.settings)
    found = drills.read(folder, drills.known(folder))
    if as_json:
        told = {name: {"title": one.title, "severity": one.severity, "cause": one.cause} for name, one in found.items()}
        console.data(json.dumps(told, indent=1))
    elif found:
        width = max(map(len, found))
        console.data("\n".join(console.plain(f"{name:<{width}}  {one.title}") for name, one in found.items()))
    else:
        console.say(console.plain(f"There is no drill in {folder} yet: docs/drills.md"))


def _run(session: Session, console: Console, name: str | None, notify: bool, as_json: bool) -> None:
    from incidentctl import drill as drilling
    from incidentctl import drill_score, drills

    names = [name] if name is not None else drills.known(drills.folder_of(session.settings))
    scores: list[Score] = []
    try:
        for score in drilling.run(session, names, console.show, notify):
            scores.append(score)
            for line in drill_score.in_words(score).splitlines():
                console.say(console.plain(line))
    finally:
        if as_json:
            console.data(json.dumps([_data(score) for score in scores], indent=1))
        elif name is None and scores:
            console.data(drill_score.table(scores))
    drilling.judge(scores)


def _data(score: Score) -> dict[str, Any]:
    return {**asdict(score), "result": score.result}


COMMANDS = (drill,)
