"""Before an incident: write the first configuration, look whether all is well, see the plan, run one playbook."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from incidentctl.cli import common, completing

_services = click.option(
    "--service",
    "services",
    multiple=True,
    metavar="NAME",
    shell_complete=completing.services,
    help="Only this service.",
)


@click.command(short_help="Write a commented incidentctl.yml and inventory.")
@click.argument("folder", default=".", type=click.Path(file_okay=False))
def init(folder: str) -> None:
    """Write a commented incidentctl.yml and inventory/ into FOLDER. Nothing that is there is overwritten.

    \b
    incidentctl init ~/incidents
    """
    from pathlib import Path

    from incidentctl import starter
    from incidentctl.console import Console

    for path in starter.write(Path(folder)):
        Console().data(str(path))


@click.command(short_help="Is everything ready for the next incident?")
@common.inventory
@common.limit
@common.as_json
@common.config
def doctor(inventory: tuple[str, ...], limit: str | None, as_json: bool, config: str | None) -> None:
    """Look for whatever would stand in the way of an incident, say how to mend it, and change nothing.

    Settings, record, inventory; guards that would refuse what a severity contains; whether audiences, tracker and
    monitoring answer (nothing is sent); of every host: login, privilege, disks, clock, programs, backups, releases; of
    Prometheus there, whether it takes the alert expressions of the catalogue.
    """
    with common.opened(config, inventory) as (session, console):
        from incidentctl import readiness, wording

        found = readiness.check(session, limit, console.show)
        if as_json:
            console.data(json.dumps([asdict(row) for row in found], indent=1))
        else:
            console.words(wording.readiness(found))
        readiness.judge(found)


@click.command(short_help="What a severity would do, on which hosts.")
@click.option(
    "-s",
    "--severity",
    metavar="LEVEL",
    shell_complete=completing.severities,
    help="Only this severity; all of them when left out.",
)
@_services
@click.option("-C", "--check", is_flag=True, help="Ask the hosts what the containment would do there; change nothing.")
@click.option("-D", "--diff", is_flag=True, help="With --check: show before and after.")
@common.inventory
@common.limit
@common.as_json
@common.config
def plan(
    severity: str | None,
    services: tuple[str, ...],
    check: bool,
    diff: bool,
    inventory: tuple[str, ...],
    limit: str | None,
    as_json: bool,
    config: str | None,
) -> None:
    """Show what would be done up to the decision. Connects to no host, but with --check.

    \b
    incidentctl plan --severity high -l web
    incidentctl plan --severity high --check --diff
    """
    if diff and not check:
        raise click.UsageError("--diff is what the hosts say. Fix: --check --diff")
    with common.opened(config, inventory, quiet=as_json) as (session, console):
        from incidentctl import preview, single, wording
        from incidentctl import session as sessions

        made = sessions.plans(session, severity, limit, services)
        outcome, seen = preview.look(session, [one for one, _ in made], diff, console.show) if check else (None, {})
        if as_json:
            told = [
                {
                    **asdict(one),
                    "hash": one.hash,
                    "refused": {refusal.guard: refusal.told for refusal in refusals},
                    **({"checked": seen.get(one.severity)} if check else {}),
                }
                for one, refusals in made
            ]
            console.data(json.dumps(told, indent=1))
        else:
            console.words("\n".join(wording.plan(one, refusals, seen.get(one.severity)) for one, refusals in made))
        if outcome:
            single.judge(outcome, "")


@click.command(short_help="Run one playbook of the collection.")
@click.argument("name", shell_complete=completing.capabilities)
@_services
@click.option(
    "--incident",
    metavar="INCIDENT",
    shell_complete=completing.open_incidents,
    help="Record it there, and lift it with it.",
)
@click.option("--retry", is_flag=True, help="Again, only on the hosts where it last went wrong.")
@click.option("-C", "--check", is_flag=True, help="Say what would be done and change nothing.")
@click.option("-D", "--diff", is_flag=True, help="Show before and after.")
@common.override
@common.inventory
@common.limit
@common.as_json
@common.config
def play(
    name: str,
    services: tuple[str, ...],
    incident: str | None,
    retry: bool,
    check: bool,
    diff: bool,
    override: tuple[str, ...],
    inventory: tuple[str, ...],
    limit: str | None,
    as_json: bool,
    config: str | None,
) -> None:
    """Run one playbook by its NAME: isolation, maintenance_mode, health_check, lift …

    \b
    incidentctl play isolation --service checkout -l web1 --check --diff
    incidentctl play isolation --retry
    """
    common.acts()
    with common.opened(config, inventory, quiet=as_json) as (session, console):
        from incidentctl import session as sessions
        from incidentctl import single

        meant = single.Play(name, services, limit, check, diff, retry, override)
        if incident is None:
            outcome = single.by_hand(session, meant, console.show)
        else:
            outcome = single.within(sessions.take_up(session, incident, console.show, console.ask), meant)
        if as_json:
            console.data(json.dumps(single.data(session, outcome), indent=1))
        if outcome:
            again = f"incidentctl play {name} --retry" + (f" --incident {incident}" if incident else "")
            single.judge(outcome, "" if check else again)


COMMANDS = (init, doctor, plan, play)
