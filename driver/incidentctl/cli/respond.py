"""Declare and drive: the commands that act on hosts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from incidentctl.cli import common

if TYPE_CHECKING:
    from incidentctl.console import Console
    from incidentctl.desk import Desk
    from incidentctl.session import Session


@click.command(short_help="Declare an incident and drive it.")
@click.argument("description", nargs=-1)
@click.option("-s", "--severity", metavar="LEVEL", help="critical, high, medium, low; or sev1-sev4, p1-p4.")
@click.option("--service", "services", multiple=True, metavar="NAME", help="Only this service; it counts as affected.")
@common.inventory
@common.limit
@common.yes
@common.recovery
@click.option("--playbook", metavar="NAME", help="With --option custom: the name under custom_playbooks.")
@common.no_input
@common.as_json
@common.config
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

    Without --severity the health of the services is checked and one suggested; you choose.

    Put -- before a DESCRIPTION that begins with a dash.

    \b
    incidentctl run --severity high "checkout returns 500"
    incidentctl run -s sev1 --yes --option rollback -l web "orders are lost"
    """
    with common.opened(config, inventory, no_input, as_json) as (session, console):
        from incidentctl import errors
        from incidentctl import session as sessions

        _known(option)
        rule = None
        if severity is None:
            severity, rule = _severity(session, console, limit, services)
        title = " ".join(description)
        if not title and console.interactive:
            title = click.prompt("What is wrong?", default=sessions.UNTITLED, err=True)
        try:
            desk = sessions.declare(session, title, severity, limit, services, console.show, console.ask)
            if rule is not None:
                sessions.remark(session, desk.incident_id, "note", text=f"severity {severity} chosen; {rule}")
        except errors.AlreadyOpen as error:
            if error.held or not console.interactive:
                raise
            console.say(console.plain(f"{error.what}\n{error.why}"))
            if not click.confirm("Go on with it?", default=True, err=True):
                raise
            desk = common.take_up(session, console, error.incident_id)
        _acknowledge(desk, session, console)
        _drive(desk, session, console, as_json, contain_approved=yes, option=option, playbook=playbook)


@click.command(short_help="Go on with an incident that was cut off or waits.")
@common.incident
@common.inventory
@common.limit
@common.yes
@common.recovery
@click.option("--playbook", metavar="NAME", help="With --option custom: the name under custom_playbooks.")
@common.no_input
@common.as_json
@common.config
def resume(
    incident: str | None,
    inventory: tuple[str, ...],
    limit: str | None,
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
    with common.opened(config, inventory, no_input, as_json) as (session, console):
        _known(option)
        desk = common.take_up(session, console, incident)
        if limit is not None:
            desk = desk.limited(limit)
        _acknowledge(desk, session, console)
        _drive(desk, session, console, as_json, contain_approved=yes, option=option, playbook=playbook)


@click.command(short_help="Answer the question: which recovery?")
@click.argument("words", nargs=-1, metavar="[INCIDENT] OPTION")
@common.inventory
@click.option("--playbook", metavar="NAME", help="With custom: the name under custom_playbooks.")
@common.as_json
@common.config
def decide(
    words: tuple[str, ...], inventory: tuple[str, ...], playbook: str | None, as_json: bool, config: str | None
) -> None:
    """Record your decision; carry it out, unless the one who waits at the question does.

    \b
    incidentctl decide INC-20260101-0300-abcd rollback
    """
    if len(words) not in (1, 2):
        raise click.UsageError("decide takes the option, and before it the incident unless it is the newest open one.")
    with common.opened(config, inventory, False, as_json) as (session, console):
        from incidentctl import desk as desks

        _known(words[-1])
        desk = common.take_up(session, console, words[0] if len(words) > 1 else None)
        desks.record_decision(desk, words[-1], playbook)
        if desk.incident().holder:
            console.say("Recorded. The responder who waits at the question carries it out.")
            return
        _drive(desk, session, console, as_json, contain_approved=False, option=None, playbook=None)


@click.command(short_help="Take back every containment of an incident.")
@common.incident
@common.inventory
@common.as_json
@common.config
def lift(incident: str | None, inventory: tuple[str, ...], as_json: bool, config: str | None) -> None:
    """Take back every containment of an incident, newest first, by the ledgers that the hosts keep."""
    with common.opened(config, inventory, True, as_json) as (session, console):
        from incidentctl import workflow
        from incidentctl.phases import recovery

        desk = common.take_up(session, console, incident)
        with workflow.at_work(desk):
            recovery.lift(desk)


@click.command(short_help="Close an incident; refused while anything is contained.")
@common.incident
@click.option("--leave-contained", metavar="REASON", help="Close although something is still contained; recorded.")
@common.inventory
@common.config
def close(incident: str | None, leave_contained: str | None, inventory: tuple[str, ...], config: str | None) -> None:
    """Close an incident and write its report. Refused while anything is still contained."""
    with common.opened(config, inventory, True, False) as (session, console):
        from incidentctl import workflow
        from incidentctl.phases import recovery

        desk = common.take_up(session, console, incident)
        with workflow.at_work(desk):
            recovery.close(desk, leave_contained)


def _acknowledge(desk: Desk, session: Session, console: Console) -> None:
    """Somebody who sits at this terminal has it (docs/decisions/0002)."""
    from incidentctl import session as sessions

    if console.interactive and desk.incident().acknowledged_at is None:
        sessions.remark(session, desk.incident_id, "acknowledged")


def _known(option: str | None) -> None:
    """A misspelt answer must be told before anything is done, not after the containment."""
    from incidentctl import options

    if option is not None:
        options.known(option)


def _severity(session: Session, console: Console, limit: str | None, services: tuple[str, ...]) -> tuple[str, str]:
    """Ask for the severity, with what the health check suggests; return it and what was suggested. Never guess it."""
    from incidentctl import errors, watch
    from incidentctl.incident import parse_severity

    missing = "--severity is missing: critical, high, medium or low."
    try:
        found = watch.suggest(session, limit, services, console.show)
        suggested, told = found.severity, f"the health check suggests {found.severity}: {found.rule}"
    except errors.UsageError:
        raise
    except errors.IncidentctlError as error:
        suggested, told = None, f"nothing could be suggested: {error.what}"
    if not console.interactive:
        fix = f"--severity {suggested or 'LEVEL'}; when unsure take the higher one"
        raise errors.UsageError(missing, f"{told[0].upper()}{told[1:]}.", fix)
    console.say(console.plain(f"{told[0].upper()}{told[1:]}."))

    def known(typed: str) -> str:
        try:
            return parse_severity(typed, session.settings.severities)
        except errors.UsageError as error:
            raise click.UsageError(str(error)) from error

    return click.prompt("Which severity?", default=suggested, value_proc=known, err=True), told


def _drive(desk: Desk, session: Session, console: Console, as_json: bool, **answers: Any) -> None:
    from dataclasses import replace

    from incidentctl import session as sessions
    from incidentctl import workflow
    from incidentctl.steps import Interrupted

    try:
        workflow.drive(replace(desk, **answers))
    except (Interrupted, KeyboardInterrupt):
        console.close()
        console.say(f"\nInterrupted. The record is true up to here; to go on: incidentctl resume {desk.incident_id}")
        raise KeyboardInterrupt from None
    finally:
        if as_json:
            console.data(json.dumps(sessions.facts(session, desk.incident_id), indent=1))


COMMANDS = (run, resume, decide, lift, close)
