"""What the commands share: their options, and what is opened for them and closed after."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from incidentctl.cli import completing

if TYPE_CHECKING:
    from incidentctl.console import Console
    from incidentctl.desk import Desk
    from incidentctl.session import Session
    from incidentctl.settings import Settings


def _limit(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Put what a file names in the place of `@FILE`, a pattern a line, as Ansible does."""
    if value is None or "@" not in value:
        return value
    from pathlib import Path

    from incidentctl import hosts
    from incidentctl.errors import UsageError

    found: list[str] = []
    for part in hosts.parts(value):
        if not part.startswith("@"):
            found.append(part)
            continue
        try:
            lines = Path(part[1:]).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise UsageError(f"--limit: {part[1:]!r} cannot be read.", str(error), "name a file of hosts") from error
        if not any(line.strip() for line in lines):
            raise UsageError(f"--limit: {part[1:]!r} names no host.", fix="name a file of hosts, one a line")
        found += [line.strip() for line in lines if line.strip()]
    return ",".join(found)


def _guards(_context: click.Context, _option: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    """A misspelt guard must be told before anything is done."""
    if not names:
        return names
    from incidentctl import guards

    return guards.known_names(names)


def _name(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """A name that cannot be one must be told before anything is done."""
    if value is None:
        return None
    from incidentctl.phases import review

    return review.reviewer(value)


config = click.option(
    "--config",
    metavar="FILE",
    type=click.Path(),
    help="Use this incidentctl.yml instead of the one that is looked for.",
)
inventory = click.option(
    "-i", "--inventory", multiple=True, metavar="PATH", type=click.Path(), help="Inventory, as for ansible-playbook."
)
limit = click.option(
    "-l",
    "--limit",
    metavar="PATTERN",
    callback=_limit,
    help="Only these hosts: names, groups, web*, ~regex, a:b, a:&b, a:!b, @file. Every part must match something.",
)
override = click.option(
    "--override",
    multiple=True,
    metavar="GUARD",
    shell_complete=completing.guards,
    callback=_guards,
    help="Do it although this guard refuses it: max_hosts_changed, max_fraction_changed, never_isolate, controller, "
    "last_instance, stale_backup, proxy.",
)
yes = click.option("--yes", is_flag=True, help="Answer the question before the containment with yes.")
no_input = click.option("--no-input", is_flag=True, help="Ask nothing, also in a terminal.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print data on stdout instead of words.")
incident = click.argument("incident", required=False, shell_complete=completing.open_incidents)
any_incident = click.argument("incident", required=False, shell_complete=completing.incidents)
of_incident = click.option(
    "--incident",
    metavar="INCIDENT",
    shell_complete=completing.open_incidents,
    help="Which one, unless it is the newest open one.",
)
severity = click.option(
    "-s",
    "--severity",
    metavar="LEVEL",
    shell_complete=completing.severities,
    help="critical, high, medium, low; or sev1-sev4, p1-p4.",
)
recovery = click.option(
    "--option",
    metavar="NAME",
    shell_complete=completing.options,
    help="The recovery to carry out: rollback, hotfix, mitigate, custom, wait.",
)
playbook = click.option(
    "--playbook",
    metavar="NAME",
    shell_complete=completing.playbooks,
    help="With custom: the name under custom_playbooks. Without it, the one that fits.",
)
reviewed_by = click.option(
    "--reviewed-by", metavar="NAME", callback=_name, help="With hotfix: who has reviewed what it deploys; recorded."
)


plan = click.option(
    "--plan",
    metavar="HASH",
    help="The plan that is meant, as it was shown: refused (14) if another one would be carried out.",
)


def acts() -> None:
    """Say at the beginning of a command that acts on hosts that it is not to be ended in the middle."""
    from incidentctl import stopping

    stopping.withstand()


def confirm(text: str, default: bool) -> bool:
    """Ask for a yes or no; what was typed before the question does not count."""
    from incidentctl import keyboard

    keyboard.forget()
    return click.confirm(text, default=default, err=True)


def prompt(text: str, default: str | None, known: Callable[[str], str] | None = None) -> str:
    """Ask for a text; what was typed before the question does not count."""
    from incidentctl import keyboard

    keyboard.forget()
    answer: str = click.prompt(text, default=default, value_proc=known, err=True)
    return answer


@contextlib.contextmanager
def opened(
    config_file: str | None, sources: tuple[str, ...] = (), silent: bool = True, quiet: bool = False
) -> Iterator[tuple[Session, Console]]:
    """Open what a command needs; leave the terminal and the record as they should be, whatever happens."""
    from incidentctl import session as sessions
    from incidentctl.console import Console

    console = Console(interactive=False if silent or quiet else None, quiet=quiet)
    with sessions.open_session(config_file, sources) as session:
        try:
            yield session, console
        finally:
            console.close()


@contextlib.contextmanager
def without_record(config_file: str | None, quiet: bool) -> Iterator[tuple[Settings, Console]]:
    """Open what is left to a command whose record cannot be used."""
    from incidentctl import session as sessions
    from incidentctl.console import Console

    console = Console(interactive=False, quiet=quiet)
    try:
        yield sessions.load_settings(config_file), console
    finally:
        console.close()


def take_up(session: Session, console: Console, incident_id: str | None) -> Desk:
    from incidentctl import session as sessions

    return sessions.take_up(session, incident_id, console.show, console.ask)
