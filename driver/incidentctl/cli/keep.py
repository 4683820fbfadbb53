"""Keep an eye on it: the command that looks again and again."""

from __future__ import annotations

import json

import click

from incidentctl.cli import common


@click.command(short_help="Look again at open incidents, and propose to escalate.")
@common.incident
@click.option("--every", default="60s", show_default=True, metavar="TIME", help="How long to wait between two looks.")
@click.option("--times", type=click.IntRange(min=1), help="Look so often, then end. Otherwise until it has ended.")
@common.inventory
@common.as_json
@common.config
def watch(
    incident: str | None,
    every: str,
    times: int | None,
    inventory: tuple[str, ...],
    as_json: bool,
    config: str | None,
) -> None:
    """Check the health of an incident's services again and again; record what changes, change no host.

    Without INCIDENT: all open ones whose severity says `watch` (medium and low). Where a user-facing service is down, or
    it got worse, a higher severity is proposed, or set where the severity says `escalate`. Exit code 10: one is proposed.

    \b
    incidentctl watch --every 60s
    incidentctl watch --times 1 --json
    """
    with common.opened(config, inventory, quiet=as_json) as (session, console):
        from dataclasses import asdict

        from incidentctl import watch as watching
        from incidentctl.errors import DecisionAwaited
        from incidentctl.settings import seconds

        proposed: dict[str, str] = {}
        for look in watching.watch(session, incident, seconds(every), times, console.show):
            proposed.pop(look.incident_id, None)
            if look.proposed is not None:
                proposed[look.incident_id] = look.proposed
            if as_json:
                console.data(json.dumps(asdict(look)))
            else:
                console.say(console.plain(look.in_words()))
        if proposed:
            raise DecisionAwaited(
                "A higher severity is proposed.",
                "\n".join(f"{name}: {severity}" for name, severity in proposed.items()),
                "; ".join(f"incidentctl severity {s} --incident {name}" for name, s in proposed.items()),
            )


COMMANDS = (watch,)
