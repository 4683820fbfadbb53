"""Look: the commands that only read the record."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import click

from incidentctl.cli import common

if TYPE_CHECKING:
    from incidentctl.console import Console
    from incidentctl.session import Session


@click.command(short_help="Where an incident stands, and how to go on.")
@common.any_incident
@click.option("--watch", is_flag=True, help="Stay, and show each change, until it has ended or Ctrl-C.")
@common.as_json
@common.config
def status(incident: str | None, watch: bool, as_json: bool, config: str | None) -> None:
    """Where an incident stands (the newest open one when none is named), what it waits for, and how to go on.

    With --watch it is shown in place in a terminal; elsewhere a line for each change, with --json one document a line.
    """
    with common.opened(config) as (session, console):
        from incidentctl import session as sessions
        from incidentctl import wording

        found = session.record.find(incident)
        if watch:
            _follow(session, console, found, as_json)
        elif as_json:
            console.data(json.dumps(sessions.facts(session, found), indent=1))
        else:
            console.words(wording.status(session.record.incident(found)))


def _follow(session: Session, console: Console, incident_id: str, as_json: bool) -> None:
    from incidentctl import session as sessions
    from incidentctl import watch, wording

    last = None
    with contextlib.suppress(KeyboardInterrupt):  # that is how one leaves it
        for incident in watch.follow(session, incident_id):
            if as_json:
                console.data(json.dumps(sessions.facts(session, incident_id)))
            elif console.in_place(wording.status(incident)):
                continue
            elif (line := wording.short_status(incident)) != last:
                console.data(line)
                last = line


@click.command("list", short_help="Which incidents are open, or there were.")
@click.option("--all", "every", is_flag=True, help="Also those that have ended.")
@common.as_json
@common.config
def list_incidents(every: bool, as_json: bool, config: str | None) -> None:
    """Every open incident, newest first: what it is, and what it waits for. From the record alone."""
    with common.opened(config) as (session, console):
        from datetime import UTC, datetime

        from incidentctl import wording

        names = session.record.incidents() if every else session.record.unsettled(datetime.now(UTC))
        found = [session.record.incident(name) for name in names]
        if as_json:
            console.data(json.dumps(wording.listed_data(found), indent=1))
        else:
            console.words(wording.listed(found))


@click.command(short_help="Brief somebody: conditions, actions, needs.")
@common.any_incident
@common.as_json
@common.config
def brief(incident: str | None, as_json: bool, config: str | None) -> None:
    """Brief an incident commander, or who takes over: what is wrong, what was done, what is needed. From the record alone.

    \b
    incidentctl brief INC-20260101-0300-abcd
    """
    with common.opened(config) as (session, console):
        from datetime import UTC, datetime

        from incidentctl import briefing

        found = briefing.of(session.record.incident(session.record.find(incident)), datetime.now(UTC))
        if as_json:
            console.data(json.dumps(found.as_data(), indent=1))
        else:
            console.words(found.text())


@click.command(short_help="Every event of an incident, in order.")
@common.any_incident
@common.as_json
@common.config
def timeline(incident: str | None, as_json: bool, config: str | None) -> None:
    """Every event of an incident in UTC, with who did it. --json prints one event a line, hashes included."""
    with common.opened(config) as (session, console):
        from dataclasses import asdict

        from incidentctl.report.content import timeline_text
        from incidentctl.times import when

        for event in session.record.events(session.record.find(incident)):
            if as_json:
                console.data(json.dumps(asdict(event)))
            elif (text := timeline_text(event)) is not None:
                console.words(f"{when(event.at)}  {console.plain(event.actor):<20}  {console.plain(text)}")


@click.command(short_help="Write the report of an incident, open or closed.")
@common.any_incident
@common.as_json
@common.config
def report(incident: str | None, as_json: bool, config: str | None) -> None:
    """Write report.md, report.html and the post-mortem's files from the record, and say where."""
    with common.opened(config) as (session, console):
        from incidentctl import report as reports

        found = session.record.find(incident)
        path = reports.write(session.record.events(found), session.settings.state_dir / "incidents" / found)
        console.data(json.dumps({"incident_id": found, "report": str(path)}) if as_json else str(path))


@click.command(short_help="How well we respond: MTTA, MTTR and more, over all closed incidents.")
@common.as_json
@common.config
def metrics(as_json: bool, config: str | None) -> None:
    """Figures over all closed incidents, drills apart, each with its definition. Cancelled ones are left out."""
    with common.opened(config) as (session, console):
        from dataclasses import asdict

        from incidentctl import metrics as figures
        from incidentctl import report as reports

        folder = session.settings.state_dir / "incidents"
        found = figures.measure(
            (session.record.events(name) for name in session.record.incidents()),
            {name: policy.sla for name, policy in session.settings.severities.items()},
            lambda name: reports.is_complete(folder / name),
        )
        if as_json:
            console.data(json.dumps(asdict(found), indent=1))
        else:
            console.words(figures.in_words(found))


COMMANDS = (status, list_incidents, brief, timeline, report, metrics)
