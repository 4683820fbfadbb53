"""Declare an incident, or join the one that is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from incidentctl.cli import common, completing, driving

if TYPE_CHECKING:
    from incidentctl.console import Console
    from incidentctl.desk import Desk
    from incidentctl.session import Session


@click.command(short_help="Declare an incident and drive it.")
@click.argument("description", nargs=-1)
@common.severity
@click.option(
    "--service",
    "services",
    multiple=True,
    metavar="NAME",
    shell_complete=completing.services,
    help="Only this service; it counts as affected.",
)
@click.option(
    "--join",
    metavar="INCIDENT",
    shell_complete=completing.open_incidents,
    help="Add what you see to this open incident, and go on with it.",
)
@driving.options
def run(
    description: tuple[str, ...], severity: str | None, services: tuple[str, ...], join: str | None, **how: Any
) -> None:
    """Declare an incident and drive it to its end, or to where a person must decide.

    Without --severity the health of the services is checked and one suggested; you choose.

    With --join nothing is declared: DESCRIPTION is noted in INCIDENT, a --service counts as affected, and a higher
    --severity raises its own. If somebody is at work on it, that is all; else it is gone on with, as resume does.

    Put -- before a DESCRIPTION that begins with a dash.

    \b
    incidentctl run --severity high "checkout returns 500"
    incidentctl run -s sev1 --yes --option rollback -l web "orders are lost"
    incidentctl run --join INC-20260101-0300-abcd "the basket is empty, too"
    """
    common.acts()
    with common.opened(how["config"], how["inventory"], how["no_input"], how["as_json"]) as (session, console):
        driving.known(how["option"])
        title = " ".join(description)
        if join is not None:
            _join(session, console, join, title, severity, services, how)
            return
        desk = _declare(session, console, title, severity, services, how["limit"])
        driving.acknowledge(desk, session, console)
        driving.drive(desk, session, console, **how)


def _declare(
    session: Session,
    console: Console,
    title: str,
    severity: str | None,
    services: tuple[str, ...],
    limit: str | None,
) -> Desk:
    """Declare it; where there is an open one that nobody is at, a person may go on with that instead."""
    from incidentctl import errors
    from incidentctl import session as sessions

    rule = None
    if severity is None:
        severity, rule = _severity(session, console, limit, services)
    if not title and console.interactive:
        title = common.prompt("What is wrong?", sessions.UNTITLED)
    try:
        desk = sessions.declare(session, title, severity, limit, services, console.show, console.ask)
    except errors.AlreadyOpen as error:
        if error.held or not console.interactive:
            raise
        console.say(console.plain(f"{error.what}\n{error.why}"))
        if not common.confirm("Go on with it?", default=True):
            raise
        return common.take_up(session, console, error.incident_id)
    if rule is not None:
        sessions.remark(session, desk.incident_id, "note", text=f"severity {severity} chosen; {rule}")
    return desk


def _join(
    session: Session,
    console: Console,
    incident: str,
    description: str,
    severity: str | None,
    services: tuple[str, ...],
    how: dict[str, Any],
) -> None:
    from incidentctl import session as sessions
    from incidentctl.times import when

    joined = sessions.join(session, incident, description, severity, services)
    number, holder = joined.incident_id, joined.holder
    console.say(f"{number}  {joined.severity}  {console.plain(joined.title)}")
    if holder is None:
        desk = driving.limited(common.take_up(session, console, number), how)
        driving.acknowledge(desk, session, console)
        driving.drive(desk, session, console, **how)
        return
    told = "Noted. " if description else ""
    console.say(
        f"{told}{holder['actor']} is at work on it: process {holder['pid']} on {holder['host']}, since {when(holder['at'])}. "
        f"incidentctl status --watch {number} shows how it goes."
    )
    driving.print_facts(session, console, number, how["as_json"])


def _severity(session: Session, console: Console, limit: str | None, services: tuple[str, ...]) -> tuple[str, str]:
    """Ask for the severity, with what the health check suggests; return it and what was suggested. Never guess it."""
    from incidentctl import errors, watch
    from incidentctl.incident import parse_severity

    missing = "--severity is missing: critical, high, medium or low."
    try:
        found = watch.suggest(session, limit, services, console.show)
        suggested, told = found.severity, f"the health check suggests {found.severity}: {found.rule}"
    except (errors.UsageError, errors.ConfigurationError):
        raise  # no severity would help
    except errors.IncidentctlError as error:
        suggested, told = None, f"nothing could be suggested: {error.what.rstrip('.')}"
    if not console.interactive:
        fix = f"--severity {suggested or 'LEVEL'}; when unsure take the higher one"
        raise errors.UsageError(missing, f"{told[0].upper()}{told[1:]}.", fix)
    console.say(console.plain(f"{told[0].upper()}{told[1:]}."))

    def known(typed: str) -> str:
        try:
            return parse_severity(typed, session.settings.severities)
        except errors.UsageError as error:
            raise click.UsageError(str(error)) from error

    return common.prompt("Which severity?", suggested, known), told


COMMANDS = (run,)
