"""Say something about an incident: the commands that only add to the record."""

from __future__ import annotations

import json
from typing import Any

import click

from incidentctl.cli import common, completing


def _not_empty(context: click.Context, argument: click.Parameter, value: str) -> str:
    """An empty "$WHAT" must not end an incident, nor stand in its timeline."""
    if not value.strip() and not context.resilient_parsing:
        raise click.UsageError(f"The {argument.name} is empty: nothing is recorded.")
    return value


@click.command(short_help="Say that you have it: stops the clock of MTTA.")
@common.incident
@common.as_json
@common.config
def acknowledge(incident: str | None, as_json: bool, config: str | None) -> None:
    """Acknowledge an incident: somebody has it. The first one counts for the time to acknowledge."""
    _say(config, incident, as_json, "acknowledged", "Acknowledged.")


@click.command(short_help="Add a note to the timeline.")
@click.argument("text", callback=_not_empty)
@common.of_incident
@common.as_json
@common.config
def note(text: str, incident: str | None, as_json: bool, config: str | None) -> None:
    """Add a note to an incident's timeline, word for word. It stays in the record and goes to no host.

    \b
    incidentctl note "the payment provider confirms an outage"
    """
    _say(config, incident, as_json, "note", "Noted.", text=text)


@click.command(short_help="Change the severity.")
@click.argument("level", shell_complete=completing.severities)
@common.of_incident
@common.as_json
@common.config
def severity(level: str, incident: str | None, as_json: bool, config: str | None) -> None:
    """Change an incident's severity. What the new one would contain is not done of itself: incidentctl play does it.

    \b
    incidentctl severity critical
    """
    from incidentctl.incident import SEVERITIES, parse_severity

    found = parse_severity(level, SEVERITIES)
    _say(config, incident, as_json, "severity_changed", f"The severity is now {found}.", severity=found)


@click.command(short_help="It was no incident after all.")
@click.argument("reason", callback=_not_empty)
@common.of_incident
@common.as_json
@common.config
def cancel(reason: str, incident: str | None, as_json: bool, config: str | None) -> None:
    """End an incident that was none. Refused while anything is contained: lift comes first.

    \b
    incidentctl cancel "a test alert"
    """
    _say(config, incident, as_json, "cancelled", "Cancelled.", reason=reason)


@click.command(short_help="Take a closed incident up again.")
@click.argument("incident", required=False, shell_complete=completing.ended_incidents)
@common.as_json
@common.config
def reopen(incident: str | None, as_json: bool, config: str | None) -> None:
    """Take a closed or cancelled incident up again; resume drives it from the triage on."""
    _say(config, incident, as_json, "reopened", "Reopened.")


def _say(config: str | None, incident: str | None, as_json: bool, kind: str, told: str, **data: Any) -> None:
    with common.opened(config) as (session, console):
        from incidentctl import session as sessions

        event = sessions.remark(session, incident, kind, **data)
        sessions.pass_on(session, event)
        if as_json:
            console.data(json.dumps({"incident_id": event.incident_id, "seq": event.seq, "kind": kind, "at": event.at}))
        else:
            console.say(f"{event.incident_id}: {told}")


@click.command(short_help="Deliver what is to be told, and escalate what nobody acknowledged.")
@common.as_json
@common.config
def followup(as_json: bool, config: str | None) -> None:
    """Try every message that is not out yet, and tell the next audience where nobody acknowledged in time.

    Made for cron. Exit code 11: something could still not be delivered.

    \b
    * * * * * incidentctl followup --config /etc/incidentctl/incidentctl.yml
    """
    with common.opened(config) as (session, console):
        from incidentctl import notify
        from incidentctl.errors import Partial

        tried = notify.follow_up(session.record, session.settings)
        if as_json:
            console.data(json.dumps(tried, indent=1))
        failed = [row for row in tried if row["state"] != "sent"]
        for row in () if as_json else tried:
            console.say(f"{row['incident_id']}: {row['audience']} about {row['about']}: {row['state']}")
        if failed:
            told = (f"{row['audience']}: {console.plain(row.get('detail'))}" for row in failed)
            raise Partial(
                f"{len(failed)} message(s) are not out yet.", "\n".join(told), "incidentctl followup tries again"
            )


COMMANDS = (acknowledge, note, severity, cancel, reopen, followup)
