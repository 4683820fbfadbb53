"""Keep an eye on it: the command that looks again and again."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from incidentctl.cli import common
from incidentctl.errors import DecisionAwaited

if TYPE_CHECKING:
    from incidentctl import watch as watching


@click.command(short_help="Look again at open incidents, and propose to escalate.")
@common.incident
@click.option("--every", default="60s", show_default=True, metavar="TIME", help="How long to wait between two looks.")
@click.option("--times", type=click.IntRange(min=1), help="Look so often, then end. Otherwise until it has ended.")
@click.option("--listen", metavar="[HOST:]PORT", help="Stay, and take alerts that Alertmanager posts to /alerts here.")
@common.inventory
@common.as_json
@common.config
def watch(
    incident: str | None,
    every: str,
    times: int | None,
    listen: str | None,
    inventory: tuple[str, ...],
    as_json: bool,
    config: str | None,
) -> None:
    """Check the health of an incident's services again and again; record what changes, change no host.

    Without INCIDENT: all open ones whose severity says `watch` (medium and low). Where a user-facing service is down, or
    it got worse, a higher severity is proposed, or set where the severity says `escalate`. Exit code 10: one is proposed.

    With --listen, an alert that fires declares an incident, tells whom the severity names, and is looked into: health,
    evidence, diagnosis. Containment and recovery wait for a person: incidentctl resume. Without HOST, only this machine
    is listened to. It stays until SIGTERM or Ctrl-C, which end it with exit code 0.

    \b
    incidentctl watch --every 60s
    incidentctl watch --times 1 --json
    incidentctl watch --listen 9099
    """
    import signal

    from incidentctl import watch as watching
    from incidentctl.settings import seconds
    from incidentctl.steps import Interrupted

    if listen is not None and (incident is not None or times is not None):
        raise click.UsageError("--listen stays, and watches all open incidents: without INCIDENT and --times.")
    with common.opened(config, inventory, quiet=as_json) as (session, console):
        every_s = seconds(every)
        proposed: dict[str, str] = {}

        def tell(look: watching.Look | str) -> None:
            if isinstance(look, str):
                console.say(console.plain(look))
                return
            proposed.pop(look.incident_id, None)
            if look.proposed is not None:
                proposed[look.incident_id] = look.proposed
            if as_json:
                console.data(json.dumps(asdict(look)))
            else:
                console.say(console.plain(look.in_words()))

        if listen is not None:
            signal.signal(
                signal.SIGTERM, signal.default_int_handler
            )  # a service is ended like that, and it is no failure
            looks = watching.listen(session, listen, every_s, lambda text: console.say(console.plain(text)))
            with contextlib.suppress(KeyboardInterrupt, Interrupted), contextlib.closing(looks):
                for look in looks:
                    tell(look)
            return
        for look in watching.watch(session, incident, every_s, times):
            tell(look)
        if proposed:
            raise DecisionAwaited(
                "A higher severity is proposed.",
                "\n".join(f"{name}: {severity}" for name, severity in proposed.items()),
                "; ".join(f"incidentctl severity {s} --incident {name}" for name, s in proposed.items()),
            )


COMMANDS = (watch,)
