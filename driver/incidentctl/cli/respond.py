"""Go on with an incident, to its end: the commands that act on hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from incidentctl.cli import common, completing, driving

if TYPE_CHECKING:
    from incidentctl.console import Console
    from incidentctl.desk import Desk


@click.command(short_help="Go on with an incident that was cut off or waits.")
@common.incident
@click.option("--take-over", is_flag=True, help="The process on another host that holds it is gone: you know that.")
@driving.options
def resume(incident: str | None, take_over: bool, **how: Any) -> None:
    """Go on where the record says it stands; the hosts are asked first what was done to them.

    Whether a process on another host still runs is not seen from here, so its lock stays. With --take-over you say that
    it is gone; that is recorded. One that runs on this machine is never taken over.

    \b
    incidentctl resume INC-20260101-0300-abcd
    """
    from dataclasses import replace

    common.acts()
    with common.opened(how["config"], how["inventory"], how["no_input"], how["as_json"]) as (session, console):
        driving.known(how["option"])
        desk = common.take_up(session, console, incident)
        if take_over:
            desk = replace(desk, take_over=_taken_over(desk, console))
        console.show("declared", incident=desk.incident())
        driving.acknowledge(desk, session, console)
        driving.drive(driving.limited(desk, how), session, console, **how)


@click.command(short_help="Answer the question: which recovery?")
@click.argument("words", nargs=-1, metavar="[INCIDENT] OPTION", shell_complete=completing.decides)
@click.option(
    "--instead-of",
    metavar="OPTION",
    shell_complete=completing.decided,
    help="Replace this decision, which nobody is carrying out now.",
)
@driving.decides
def decide(words: tuple[str, ...], instead_of: str | None, **how: Any) -> None:
    """Record your decision; carry it out, unless the one who waits at the question does.

    Of two who answer at once one is told what the other decided (exit code 13), and nothing of theirs is done. Where the
    severity wants several approvals, the same answer of another person is one, and names the plan.

    \b
    incidentctl decide INC-20260101-0300-abcd rollback
    incidentctl decide INC-20260101-0300-abcd rollback --plan 3f9a0c1d27be
    """
    from dataclasses import replace

    if len(words) not in (1, 2):
        raise click.UsageError("decide takes the option, and before it the incident unless it is the newest open one.")
    common.acts()
    with common.opened(how["config"], how["inventory"], False, how["as_json"]) as (session, console):
        from incidentctl import standing
        from incidentctl.phases import decision

        driving.known(words[-1])
        driving.known(instead_of)
        desk = common.take_up(session, console, words[0] if len(words) > 1 else None)
        desk = replace(desk, override=how["override"], plan=how["plan"])
        if instead_of is not None:  # what it had begun must be known first: that needs the lock
            driving.drive(replace(desk, instead_of=instead_of), session, console, **how, option=words[-1])
            return
        if how["reviewed_by"] is not None and words[-1] == "hotfix" and standing.awaits_review(desk.incident()):
            driving.drive(desk, session, console, **how)
            return
        decided = decision.answer(desk, words[-1], how["playbook"])
        holder = desk.incident().holder
        if holder is not None:
            console.say(f"Recorded. {holder['actor']} holds the incident, and is waited for to carry it out.")
            if decision.taken_up(desk, decided):
                console.say(f"{holder['actor']} carries it out.")
                driving.print_facts(session, console, desk.incident_id, how["as_json"])
                return
        driving.drive(desk, session, console, **how)


@click.command(short_help="Take back every containment of an incident.")
@common.incident
@common.inventory
@common.limit
@click.option(
    "--only",
    multiple=True,
    metavar="ENTRY",
    shell_complete=completing.contained,
    help="Take back this alone: an entry's name, or CAPABILITY/TARGET.",
)
@common.as_json
@common.config
def lift(
    incident: str | None,
    inventory: tuple[str, ...],
    limit: str | None,
    only: tuple[str, ...],
    as_json: bool,
    config: str | None,
) -> None:
    """Take back every containment of an incident, newest first, by the ledgers that the hosts keep.

    Also where the record cannot be used, or does not know the incident: then by its whole id, on all hosts of the
    inventory unless --limit says which; and exit code 11, for no record says so.

    \b
    incidentctl lift INC-20260101-0300-abcd
    incidentctl lift INC-20260101-0300-abcd --only maintenance_mode/checkout
    """
    from incidentctl import unrecorded
    from incidentctl.record import RecordError

    known = None
    common.acts()
    with unrecorded.room():
        try:
            with common.opened(config, inventory, True, as_json) as (session, console):
                from incidentctl import workflow
                from incidentctl.phases import recovery

                if not unrecorded.knows(session.record, incident):
                    raise RecordError(f"{incident} is not in this record")
                desk = common.take_up(session, console, incident)
                if limit is not None:
                    desk = desk.limited(limit)
                known = unrecorded.of_desk(desk)
                try:
                    with workflow.at_work(desk):
                        if only:
                            recovery.lift_only(desk, only)
                        else:
                            recovery.lift(desk)
                finally:
                    driving.print_facts(session, console, desk.incident_id, as_json)
        except RecordError as error:
            with common.without_record(config, as_json) as (settings, console):
                known = known or unrecorded.of_id(settings, incident, inventory, limit, error)
                unrecorded.lift(known, settings, error, console.show, only)


@click.command(short_help="Close an incident; refused while anything is contained.")
@common.incident
@click.option("--leave-contained", metavar="REASON", help="Close although something is still contained; recorded.")
@common.inventory
@common.config
def close(incident: str | None, leave_contained: str | None, inventory: tuple[str, ...], config: str | None) -> None:
    """Close an incident and write its report. Refused while anything is still contained.

    The hosts are asked, not the record alone: each open entry of their ledgers is named, and each host that did not answer.

    \b
    incidentctl close INC-20260101-0300-abcd --leave-contained "the worker moves to another host tomorrow"
    """
    common.acts()
    with common.opened(config, inventory, True, False) as (session, console):
        from incidentctl import workflow
        from incidentctl.phases import recovery

        desk = common.take_up(session, console, incident)
        with workflow.at_work(desk):
            recovery.close(desk, leave_contained)


def _taken_over(desk: Desk, console: Console) -> int | None:
    """Return which lock a person says is nobody's any more: that one and no other; None if it is free, or held here."""
    from incidentctl import errors, processes
    from incidentctl.times import when

    holder = desk.incident().holder
    if holder is None or processes.is_here(holder):
        return None
    held = f"process {holder['pid']} on {holder['host']}, since {when(holder['at'])}, by {holder['actor']}"
    if console.interactive and not common.confirm(f"Held by {held}.\nIs that process gone?", default=False):
        raise errors.LockedError(f"{desk.incident_id} stays with {holder['actor']}.", f"It is held by {held}.")
    console.say(f"Taken over from {held}.")
    return int(holder["seq"])


COMMANDS = (resume, decide, lift, close)
