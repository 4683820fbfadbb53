"""Lift without the record: the one act that needs none, for it makes things safer, and the hosts' ledgers know what to do.

See docs/decisions/0008.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from incidentctl import engine, ledgers, plan, session
from incidentctl.desk import Desk, Show
from incidentctl.errors import IncidentctlError, Partial, UsageError
from incidentctl.files import trouble, way_out
from incidentctl.incident import is_id
from incidentctl.outcome import SUCCESS, Outcome, Step
from incidentctl.record import Record, RecordError
from incidentctl.settings import Settings
from incidentctl.steps import Interrupted

_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of ours is made in it


@dataclass(frozen=True)
class Known:
    """What is known of an incident that cannot be written about: of one without a record, no more than its id."""

    incident_id: str
    sources: tuple[str, ...]
    hosts: tuple[str, ...]


@contextlib.contextmanager
def room() -> Iterator[None]:
    """Let Ansible work in memory for as long as the body runs, if home or the temporary folder take nothing either.

    Often they lie on the one disk that is full.
    """
    if not _is_wanting() or trouble(_MEMORY) is not None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="incidentctl-", dir=_MEMORY) as folder:
        names = {"TMPDIR": folder, "ANSIBLE_LOCAL_TEMP": folder, "ANSIBLE_SSH_CONTROL_PATH_DIR": folder}
        before = {name: os.environ.get(name) for name in names}
        os.environ.update(names)
        tempfile.tempdir = None  # it is looked for anew
        try:
            yield
        finally:
            tempfile.tempdir = None
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value


def _is_wanting() -> bool:
    try:
        found = [trouble(Path.home()), trouble(Path(tempfile.gettempdir()))]
    except OSError:  # no temporary folder anywhere
        return True
    return any(error is not None and way_out(error) for error in found)  # whose home is not there has none to lose


def knows(record: Record, named: str | None) -> bool:
    """Say whether a whole id is one of this record; anything else is for the record to make out."""
    return named is None or not is_id(named) or named in record.incidents()


def of_desk(desk: Desk) -> Known:
    """What the record still says of an incident: to be asked before the record is needed."""
    return Known(desk.incident_id, desk.sources, desk.hosts())


def of_id(
    settings: Settings, named: str | None, inventory: tuple[str, ...], limit: str | None, error: RecordError
) -> Known:
    """An incident of which the record says nothing: by its whole id, on all hosts of the inventory that are meant.

    Raise UsageError if it is not a whole id, naming those that have a folder here.
    """
    if named is None or not is_id(named):
        why = _in_short(error)
        with contextlib.suppress(OSError):
            there = sorted((path.name for path in (settings.state_dir / "incidents").iterdir()), reverse=True)
            why += f"\nThere are folders of: {', '.join(there[:10])}" if there else ""
        raise UsageError(
            "Which incident? Without its record only a whole id is understood.", why, "incidentctl lift INC-…"
        )
    sources = session.sources_of(settings, inventory)
    return Known(named, sources, plan.narrow(session.hosts_of(settings, sources), limit))


def lift(known: Known, settings: Settings, error: RecordError, show: Show, only: tuple[str, ...] = ()) -> None:
    """Take back every containment of an incident by the hosts' ledgers, and say so; there is nothing to record it.

    With `only`, those entries alone.

    Always raise: Partial, which says what is in no record, and who did not answer; UsageError if no host knows the
    incident either.
    """
    show("note", text=_in_short(error))
    show("note", text="Lifting goes on without it: the hosts' ledgers know what was done.")
    with contextlib.suppress(OSError):  # of a disk that cannot even be read
        engine.end_what_was_left(settings.state_dir / "incidents" / known.incident_id)
    if not only:
        raise _told(known.incident_id, _run(known, settings, show, known.hosts, {}))
    asked = _run(known, settings, show, known.hosts, {}, check=True)
    found = ledgers.named(only, ledgers.open_rows(asked), silent=ledgers.silent(asked))
    outcomes = {w: _run(known, settings, show, hosts, {"lift_only": [w]}) for w, hosts in found.items()}
    silent = [row for row in asked.rows if not ledgers.answered(row)]  # the same entry may be there, too
    rows = (*silent, *(row for outcome in outcomes.values() for row in outcome.rows))
    left = tuple(word for word, outcome in outcomes.items() if outcome.worst not in SUCCESS)
    raise _told(known.incident_id, replace(asked, rows=rows), only if silent or not left else left)


def _run(
    known: Known, settings: Settings, show: Show, hosts: tuple[str, ...], variables: dict[str, Any], check: bool = False
) -> Outcome:
    step = Step(
        phase="lift",
        capabilities=("lift",),
        hosts=hosts,
        variables={"incident_id": known.incident_id, "incident_continue": True, **variables},
        check=check,
        deadline_s=settings.deadlines.phase,
    )
    show("phase", phase=step.phase, capabilities=step.capabilities, hosts=step.hosts)
    outcome = engine.run(step, known.sources, show, settings.secret_environment())
    show("phase_done", outcome=outcome)
    if outcome.interrupted:
        raise Interrupted(step.phase)
    return outcome


def _in_short(error: RecordError) -> str:
    return ": ".join(line for line in (error.what, *error.why.splitlines()[:1]) if line)


def _told(incident_id: str, outcome: Outcome, only: tuple[str, ...] = ()) -> IncidentctlError:
    failed = [f"{row.host}: {row.outcome}: {row.reason}" for row in outcome.rows if row.outcome not in SUCCESS]
    again = ledgers.command(incident_id, only)
    if failed:
        return Partial(f"{incident_id}: not everything could be taken back.", "\n".join(failed), f"{again} tries again")
    if not any(row.facts.get(key) for row in outcome.rows for key in ("lifted", "open")):
        what = (
            f"{incident_id} is not in this record, and in no ledger of {', '.join(row.host for row in outcome.rows)}."
        )
        return UsageError(what, fix="correct the id, or name the inventory of its hosts with -i")
    return Partial(
        f"{incident_id}: {'what was named' if only else 'all'} was taken back on the hosts, and the record does not say so.",
        "\n".join(f"{row.host}: {row.outcome}" for row in outcome.rows),
        f"once the record can be written: {again} records it",
    )
