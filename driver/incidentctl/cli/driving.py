"""What the commands that drive an incident share: their options, and what they do with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from incidentctl.cli import common

if TYPE_CHECKING:
    from incidentctl.console import Console
    from incidentctl.desk import Desk
    from incidentctl.session import Session


def decides(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of all that carry a decision out; it receives them as `how`."""
    for option in (
        common.config,
        common.as_json,
        common.playbook,
        common.plan,
        common.reviewed_by,
        common.override,
        common.inventory,
    ):
        command = option(command)
    return command


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of all that drive an incident from its beginning; it receives them as `how`."""
    command = decides(command)
    for option in (common.no_input, common.recovery, common.yes, common.limit):
        command = option(command)
    return command


def known(option: str | None) -> None:
    """A misspelt answer must be told before anything is done, not after the containment."""
    from incidentctl import options

    if option is not None:
        options.known(option)


def limited(desk: Desk, how: dict[str, Any]) -> Desk:
    return desk if how["limit"] is None else desk.limited(how["limit"])


def acknowledge(desk: Desk, session: Session, console: Console) -> None:
    """Somebody who sits at this terminal has it (docs/decisions/0002)."""
    from incidentctl import session as sessions

    if console.interactive and desk.incident().acknowledged_at is None:
        sessions.remark(session, desk.incident_id, "acknowledged")


def drive(desk: Desk, session: Session, console: Console, *, as_json: bool, **how: Any) -> None:
    from dataclasses import replace

    from incidentctl import workflow
    from incidentctl.steps import Interrupted

    answers = {key: how[key] for key in ("option", "playbook", "plan", "reviewed_by", "override") if key in how}
    try:
        workflow.drive(replace(desk, contain_approved=how.get("yes", False), **answers))
    except (Interrupted, KeyboardInterrupt):
        console.close()
        told = f"The record is true up to here; to go on: incidentctl resume {desk.incident_id}"
        raise KeyboardInterrupt(told) from None
    finally:
        print_facts(session, console, desk.incident_id, as_json)


def print_facts(session: Session, console: Console, incident_id: str, as_json: bool) -> None:
    from incidentctl import session as sessions

    if as_json:
        console.data(json.dumps(sessions.facts(session, incident_id), indent=1))
