"""Words → one call → exit code. Click lives here; everything heavy is imported by the command that needs it.

`incidentctl --help` must answer in little more than Click's own time: no module of ours but errors is imported above
the commands (a test names the one that is).
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from incidentctl import __version__
from incidentctl.errors import IncidentctlError

if TYPE_CHECKING:
    from incidentctl.console import Console
    from incidentctl.desk import Desk
    from incidentctl.session import Session

EXIT_CODES = """\b
Exit codes:
    0  done
    1  internal error
    2  wrong usage
    3  incidentctl.yml or the inventory cannot be used
   10  a decision is awaited
   11  partial: some hosts failed or could not be reached
   12  failed: not recovered
   13  locked: another responder is at work here
   14  the plan changed since it was approved
   15  refused by a guard
  130  interrupted
"""
Command = Callable[..., Any]

_config = click.option(
    "--config", metavar="FILE", help="Use this incidentctl.yml instead of the one that is looked for."
)
_inventory = click.option(
    "-i", "--inventory", multiple=True, metavar="PATH", help="Inventory, as for ansible-playbook."
)
_limit = click.option("-l", "--limit", metavar="PATTERN", help="Only these hosts; every part must match something.")
_yes = click.option("--yes", is_flag=True, help="Answer the question before the containment with yes.")
_no_input = click.option("--no-input", is_flag=True, help="Ask nothing, also in a terminal.")
_json = click.option("--json", "as_json", is_flag=True, help="Print data on stdout instead of words.")
_incident = click.argument("incident", required=False)
_option = click.option("--option", metavar="NAME", help="The recovery to carry out: rollback, mitigate, custom.")


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def cli() -> None:
    """Respond to a production incident: evidence, containment, diagnosis, recovery, report.

    \b
    incidentctl run --severity high "checkout returns 500"
    """


@cli.command(short_help="Declare an incident and drive it.")
@click.argument("description", nargs=-1)
@click.option("-s", "--severity", metavar="LEVEL", help="critical, high, medium, low; or sev1-sev4, p1-p4.")
@click.option("--service", "services", multiple=True, metavar="NAME", help="Only this service; it counts as affected.")
@_inventory
@_limit
@_yes
@_option
@click.option("--playbook", metavar="NAME", help="With --option custom: the name under custom_playbooks.")
@_no_input
@_json
@_config
def run(
    description: tuple[str, ...],
    severity: str | None,
    services: tuple[str, ...],
    inventory: tuple[str, ...],
    limit: str | None,
    yes: bool,
    option: str | None,
    playbook: str | None,
    no_input: bool,
    as_json: bool,
    config: str | None,
) -> None:
    """Declare an incident and drive it to its end, or to where a person must decide.

    Put -- before a DESCRIPTION that begins with a dash.

    \b
    incidentctl run --severity high "checkout returns 500"
    incidentctl run -s sev1 --yes --option rollback -l web "orders are lost"
    """
    with _command(config, inventory, no_input, as_json) as (session, console):
        from incidentctl import session as sessions

        if severity is None:
            raise click.UsageError("--severity is missing: critical, high, medium or low. When unsure take the higher.")
        title = " ".join(description)
        if not title and console.interactive:
            title = click.prompt("What is wrong?", default=sessions.UNTITLED, err=True)
        desk = sessions.declare(session, title, severity, limit, services, console.show, console.ask)
        _drive(desk, session, console, as_json, contain_approved=yes, option=option, playbook=playbook)


@cli.command(short_help="Go on with an incident that was cut off or waits.")
@_incident
@_inventory
@_yes
@_option
@click.option("--playbook", metavar="NAME", help="With --option custom: the name under custom_playbooks.")
@_no_input
@_json
@_config
def resume(
    incident: str | None,
    inventory: tuple[str, ...],
    yes: bool,
    option: str | None,
    playbook: str | None,
    no_input: bool,
    as_json: bool,
    config: str | None,
) -> None:
    """Go on where the record says it stands; the hosts are asked first what was done to them.

    \b
    incidentctl resume INC-20260101-0300-abcd
    """
    with _command(config, inventory, no_input, as_json) as (session, console):
        desk = _take_up(session, console, incident)
        _drive(desk, session, console, as_json, contain_approved=yes, option=option, playbook=playbook)


@cli.command(short_help="Answer the question: which recovery?")
@click.argument("words", nargs=-1, metavar="[INCIDENT] OPTION")
@_inventory
@click.option("--playbook", metavar="NAME", help="With custom: the name under custom_playbooks.")
@_json
@_config
def decide(
    words: tuple[str, ...], inventory: tuple[str, ...], playbook: str | None, as_json: bool, config: str | None
) -> None:
    """Record your decision; carry it out, unless the one who waits at the question does.

    \b
    incidentctl decide INC-20260101-0300-abcd rollback
    """
    if len(words) not in (1, 2):
        raise click.UsageError("decide takes the option, and before it the incident unless it is the newest open one.")
    with _command(config, inventory, False, as_json) as (session, console):
        from incidentctl import desk as desks

        desk = _take_up(session, console, words[0] if len(words) > 1 else None)
        desks.record_decision(desk, words[-1], playbook)
        if desk.incident().holder:
            console.say("Recorded. The responder who waits at the question carries it out.")
            return
        _drive(desk, session, console, as_json, contain_approved=False, option=None, playbook=None)


@cli.command(short_help="Where an incident stands, and how to go on.")
@_incident
@_json
@_config
def status(incident: str | None, as_json: bool, config: str | None) -> None:
    """Where an incident stands (the newest open one when none is named), and how to go on."""
    with _command(config, (), True, False) as (session, console):
        from incidentctl import incident as incidents
        from incidentctl import session as sessions

        found = session.record.find(incident)
        if as_json:
            console.data(json.dumps(sessions.facts(session, found), indent=1))
        else:
            console.data(console.status(incidents.fold(session.record.events(found))))


@cli.command(short_help="Every event of an incident, in order.")
@_incident
@_json
@_config
def timeline(incident: str | None, as_json: bool, config: str | None) -> None:
    """Every event of an incident in UTC, with who did it. --json prints one event a line, hashes included."""
    with _command(config, (), True, False) as (session, console):
        from dataclasses import asdict

        from incidentctl.report.content import timeline_text

        for event in session.record.events(session.record.find(incident)):
            if as_json:
                console.data(json.dumps(asdict(event)))
            elif (text := timeline_text(event)) is not None:
                console.data(f"{event.at}  {event.actor:<20}  {console.plain(text)}")


@cli.command(short_help="Take back every containment of an incident.")
@_incident
@_inventory
@_json
@_config
def lift(incident: str | None, inventory: tuple[str, ...], as_json: bool, config: str | None) -> None:
    """Take back every containment of an incident, newest first, by the ledgers that the hosts keep."""
    with _command(config, inventory, True, as_json) as (session, console):
        from incidentctl import workflow

        desk = _take_up(session, console, incident)
        with session.record.hold(desk.incident_id, session.actor):
            workflow.lift(desk)


@cli.command(short_help="Close an incident; refused while anything is contained.")
@_incident
@click.option("--leave-contained", metavar="REASON", help="Close although something is still contained; recorded.")
@_inventory
@_config
def close(incident: str | None, leave_contained: str | None, inventory: tuple[str, ...], config: str | None) -> None:
    """Close an incident and write its report. Refused while anything is still contained."""
    with _command(config, inventory, True, False) as (session, console):
        from incidentctl import workflow

        desk = _take_up(session, console, incident)
        with session.record.hold(desk.incident_id, session.actor):
            workflow.close(desk, leave_contained)


@cli.command(short_help="Write the report of an incident, open or closed.")
@_incident
@_json
@_config
def report(incident: str | None, as_json: bool, config: str | None) -> None:
    """Write report.md, report.html and the post-mortem's files from the record, and say where."""
    with _command(config, (), True, False) as (session, console):
        from incidentctl import report as reports

        found = session.record.find(incident)
        path = reports.write(session.record.events(found), session.settings.state_dir / "incidents" / found)
        console.data(json.dumps({"incident_id": found, "report": str(path)}) if as_json else str(path))


def main() -> None:
    """Run a command and exit with its code (the only place that exits)."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        if isinstance(error, click.NoSuchOption):
            click.echo("Fix: put -- before a description that begins with a dash", err=True)
        sys.exit(error.exit_code)
    except IncidentctlError as error:
        _say(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads on; there is nobody to tell
        sys.exit(1)
    except Exception as error:
        if os.environ.get("INCIDENTCTL_DEBUG"):
            raise
        # The last net: nobody reads a traceback at 3 a.m., and what was done is in the record.
        what = f"Internal error: {type(error).__name__}: {error}"
        _say(
            IncidentctlError(what, fix="incidentctl status says how to go on; INCIDENTCTL_DEBUG=1 shows where it broke")
        )
        sys.exit(1)


def _say(error: IncidentctlError) -> None:
    from incidentctl.console import Console

    Console().error(error)


@contextlib.contextmanager
def _command(
    config: str | None, inventory: tuple[str, ...], no_input: bool, quiet: bool
) -> Iterator[tuple[Session, Console]]:
    """Open what a command needs; leave the terminal and the record as they should be, whatever happens."""
    from incidentctl import session as sessions
    from incidentctl.console import Console

    console = Console(interactive=False if no_input or quiet else None, quiet=quiet)
    with sessions.open_session(config, inventory) as session:
        try:
            yield session, console
        finally:
            console.close()


def _take_up(session: Session, console: Console, incident: str | None) -> Desk:
    from incidentctl import session as sessions

    return sessions.take_up(session, incident, console.show, console.ask)


def _drive(desk: Desk, session: Session, console: Console, as_json: bool, **answers: Any) -> None:
    from dataclasses import replace

    from incidentctl import session as sessions
    from incidentctl import workflow
    from incidentctl.desk import Interrupted

    try:
        workflow.drive(replace(desk, **answers))
    except (Interrupted, KeyboardInterrupt):
        console.close()
        console.say(f"\nInterrupted. The record is true up to here; to go on: incidentctl resume {desk.incident_id}")
        raise KeyboardInterrupt from None
    finally:
        if as_json:
            console.data(json.dumps(sessions.facts(session, desk.incident_id), indent=1))
