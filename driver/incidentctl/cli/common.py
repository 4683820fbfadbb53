"""What the commands share: their options, and what is opened for them and closed after."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from incidentctl.console import Console
    from incidentctl.desk import Desk
    from incidentctl.session import Session

config = click.option(
    "--config", metavar="FILE", help="Use this incidentctl.yml instead of the one that is looked for."
)
inventory = click.option("-i", "--inventory", multiple=True, metavar="PATH", help="Inventory, as for ansible-playbook.")
limit = click.option("-l", "--limit", metavar="PATTERN", help="Only these hosts; every part must match something.")
yes = click.option("--yes", is_flag=True, help="Answer the question before the containment with yes.")
no_input = click.option("--no-input", is_flag=True, help="Ask nothing, also in a terminal.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print data on stdout instead of words.")
incident = click.argument("incident", required=False)
recovery = click.option(
    "--option", metavar="NAME", help="The recovery to carry out: rollback, hotfix, mitigate, custom."
)


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


def take_up(session: Session, console: Console, incident_id: str | None) -> Desk:
    from incidentctl import session as sessions

    return sessions.take_up(session, incident_id, console.show, console.ask)
