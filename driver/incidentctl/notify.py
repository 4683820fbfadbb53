"""The outbox: what is to be told is recorded first, delivered beside the work, and tried again until it is out.

A message that cannot be delivered never stands in the way of a step (docs/contracts.md, 5).
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from incidentctl import audiences, trackers
from incidentctl.audiences import Message, status_page
from incidentctl.errors import IncidentctlError
from incidentctl.files import private_folder
from incidentctl.incident import ENDED, Event, Incident, fold
from incidentctl.patience import within
from incidentctl.record import Record
from incidentctl.redaction import for_people
from incidentctl.settings import Audience, Settings, resolve_secret
from incidentctl.standing import standing
from incidentctl.trackers.ticket import NotNow

ACTOR = "incidentctl"
TRACKER = "the tracker"  # stands where an audience does
WAIT_S = 5.0
SEND_S = 15.0  # for one address: apprise itself waits for each byte anew
GIVE_UP_AFTER = timedelta(days=1)  # nobody is helped by older news
_LOOK_S = 1.0
_THREAD = "incidentctl-outbox"

Row = Mapping[str, Any]


def tell(record: Record, incident: Incident, names: Iterable[str], about: str, settings: Settings) -> None:
    """Queue one message about `about` to each audience that it concerns, and deliver all that is queued beside us.

    Nobody is told the same twice; a second decision, or a second resolution, is not the same.
    """
    events = record.events(incident.incident_id)
    for name in names:
        kind = settings.audiences[name].kind
        if audiences.concerned(kind, incident, about) and _may_know(kind, incident):
            _queue(record, incident, events, name, about)
    events = record.events(incident.incident_id)
    if pending(fold(events)) or trackers.due(events, settings) or settings.status_page.folder is not None:
        arguments = (record, incident.incident_id, settings)
        threading.Thread(target=_beside, args=arguments, name=_THREAD, daemon=True).start()


def pending(incident: Incident) -> list[Row]:
    """Return the newest row of each message that is not out yet."""
    newest = {str(row.get("key")): row for row in incident.notified}
    return [row for row in newest.values() if row.get("state") != "sent"]


def wait(patience_s: float = WAIT_S) -> None:
    """Give the messages that are on their way a few seconds; what is not out then is tried at the next command."""
    until = time.monotonic() + patience_s
    for thread in threading.enumerate():
        if thread.name == _THREAD:
            thread.join(max(0.0, until - time.monotonic()))


def deliver(record: Record, incident_id: str, settings: Settings) -> None:
    """Try every message that is not out yet, once, and record how it went; bring status page and ticket up to date."""
    with _alone(settings.state_dir, "outbox"):
        incident = fold(record.events(incident_id))
        for row in pending(incident):
            if row["audience"] in settings.audiences:
                told = _written(settings, row, _for_people(record, incident_id))
                _note(record, incident_id, row, _send(settings.audiences[str(row["audience"])], told))
        _publish(record, incident_id, settings)
    with _alone(settings.state_dir, "tracker"):  # one that hangs holds up no message
        _file(record, incident_id, settings)


def _for_people(record: Record, incident_id: str) -> list[Event]:
    """What may be told: the events without secrets. Whatever leaves is written from these, so that none can forget it."""
    return for_people(record.events(incident_id))


def _beside(record: Record, incident_id: str, settings: Settings) -> None:
    """Deliver what is queued; where the disk or the record fails it stays queued, and the response itself says so."""
    with contextlib.suppress(IncidentctlError, OSError):
        deliver(record, incident_id, settings)


def escalate(record: Record, incident_id: str, settings: Settings, now: datetime) -> list[str]:
    """Queue a message to each audience whose turn has come because nobody acknowledged; return their names."""
    events = record.events(incident_id)
    incident = fold(events)
    due = [name for name, at in escalations(incident, settings) if at <= now]
    for name in due:
        _queue(record, incident, events, name, "escalated")
    return due


def escalations(incident: Incident, settings: Settings) -> list[tuple[str, datetime]]:
    """Return who is told next, and when, unless somebody acknowledges: the audiences that were not told so yet."""
    if incident.acknowledged_at is not None or incident.status in ENDED:
        return []
    begun: dict[str, datetime] = {}
    for row in incident.notified:
        if row.get("about") in ("declared", "escalated"):
            begun.setdefault(str(row.get("audience")), datetime.fromisoformat(str(row["at"])))
    asked = {str(row.get("audience")) for row in incident.notified if row.get("about") == "escalated"}
    found: dict[str, datetime] = {}
    for name, since in begun.items():
        audience = settings.audiences.get(name)
        if audience is None or audience.then is None or audience.escalate_after is None or audience.then in asked:
            continue
        at = since + timedelta(seconds=audience.escalate_after)
        found[audience.then] = min(at, found.get(audience.then, at))
    return sorted(found.items(), key=lambda pair: pair[1])


def follow_up(record: Record, settings: Settings, now: datetime | None = None) -> list[dict[str, Any]]:
    """Escalate what is due and deliver what is not out, of every incident; return what was tried, with its state."""
    now, tried = now or datetime.now(UTC), []
    for incident_id in record.unsettled(now - GIVE_UP_AFTER):
        escalate(record, incident_id, settings, now)
        incident = fold(record.events(incident_id))
        waiting = {row["key"] for row in pending(incident) if _worth_trying(row, incident, settings, now)}
        waiting |= {one.key for one in trackers.due(record.events(incident_id), settings)}
        if not waiting and (settings.status_page.folder is None or incident.status in ENDED):
            continue
        deliver(record, incident_id, settings)
        newest = {row["key"]: row for row in fold(record.events(incident_id)).notified}
        tried += [{"incident_id": incident_id, **newest[key]} for key in newest if key in waiting]
    return tried


def understood(address: str) -> bool:
    """Say whether apprise understands an address; nothing is sent."""
    import apprise  # noqa: PLC0415 - 0.3 s, and only who tells somebody needs it

    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it would write addresses across the screen
    return bool(apprise.Apprise().add(address))


@contextlib.contextmanager
def attended(record: Record, incident_id: str, settings: Settings) -> Iterator[None]:
    """Escalate while the body runs, however long it takes: the response itself may outlast the time to acknowledge."""
    done = threading.Event()

    def attend() -> None:
        while not done.wait(_LOOK_S):
            with contextlib.suppress(IncidentctlError, OSError):  # a record that is busy is asked again in a second
                if escalate(record, incident_id, settings, datetime.now(UTC)):
                    deliver(record, incident_id, settings)

    if any(audience.then for audience in settings.audiences.values()):
        threading.Thread(target=attend, name=_THREAD, daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _worth_trying(row: Row, incident: Incident, settings: Settings, now: datetime) -> bool:
    first = next(datetime.fromisoformat(str(one["at"])) for one in incident.notified if one.get("key") == row["key"])
    known = row["audience"] in settings.audiences or settings.status_page.folder is not None
    return known and now - first < GIVE_UP_AFTER


@contextlib.contextmanager
def _alone(state_dir: Path, name: str) -> Iterator[None]:
    """One at a time empties the outbox, of all threads and processes here: two would tell everybody twice."""
    path = private_folder(state_dir) / f"{name}.lock"
    path.touch(mode=0o600)
    with path.open("w") as lock:  # opened anew by each thread: to the kernel they are strangers, too
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go by the kernel when we are killed
        yield


def _queue(record: Record, incident: Incident, events: Sequence[Event], audience: str, about: str) -> None:
    # What is declared again is what was reopened; what is waited for is the same until somebody decides. The first of each
    # has no number.
    kinds = {"declared": ("declared", "reopened"), "awaited": ("decided",)}.get(about, (about,))
    number = sum(event.kind in kinds for event in events) + (about == "awaited")
    what = f"{about}-{standing(incident).waits_for}" if about == "awaited" else about
    key = f"{incident.incident_id}:{what}{f'-{number}' if number > 1 else ''}:{audience}"
    if key not in {row.get("key") for row in incident.notified}:
        data = {"key": key, "about": about, "audience": audience, "state": "queued"}
        record.append(incident.incident_id, "notified", data, ACTOR)


def _note(record: Record, incident_id: str, row: Row, problem: str | None, **more: str) -> None:
    data = {"key": row["key"], "about": row["about"], "audience": row["audience"], **more}
    data |= {"state": "failed", "detail": problem} if problem else {"state": "sent"}
    told = (one for one in reversed(fold(record.events(incident_id)).notified) if one.get("key") == row["key"])
    last: Row = next(told, {})
    if any(last.get(name) != value for name, value in data.items()):  # that it failed in the same way again is no news
        record.append(incident_id, "notified", data, ACTOR)


def _publish(record: Record, incident_id: str, settings: Settings) -> None:
    """The status page is a picture of the record: it is drawn anew whenever it would look different."""
    events = _for_people(record, incident_id)
    incident = fold(events)
    if settings.status_page.folder is None or incident.drill or not status_page.concerned(incident):
        return
    document = status_page.document(incident, events)
    row = {"key": f"{incident_id}:status_page", "about": document["status"], "audience": "status page"}
    try:
        if status_page.publish(settings.status_page.folder, document):
            _note(record, incident_id, row, None)
    except OSError as error:
        _note(record, incident_id, row, error.strerror or type(error).__name__)


def _file(record: Record, incident_id: str, settings: Settings) -> None:
    """Tell the tracker what it was not told yet, in order; what it does not take now is tried again, and holds up the rest."""
    events = _for_people(record, incident_id)
    failed = {row["key"]: row for row in pending(fold(events))}
    for one in trackers.due(events, settings):
        row = {"key": one.key, "about": one.about, "audience": TRACKER}
        not_before = failed.get(one.key, {}).get("not_before")
        if not_before is not None and datetime.now(UTC) < datetime.fromisoformat(str(not_before)):
            return
        try:
            ticket = trackers.carry_out(one, events, settings)
        except NotNow as error:
            _note(record, incident_id, row, _in_words(error), not_before=error.until.isoformat(timespec="seconds"))
            return
        except (IncidentctlError, OSError) as error:
            _note(record, incident_id, row, _in_words(error))
            return
        if ticket is not None:
            record.append(incident_id, "ticketed", ticket, ACTOR)
        if ticket is None or one.key in failed:  # a ticket that was opened at once has told of itself
            _note(record, incident_id, row, None)


def _in_words(error: IncidentctlError | OSError) -> str:
    if isinstance(error, IncidentctlError):
        return " ".join(part for part in (error.what, error.why, error.fix and f"Fix: {error.fix}") if part)
    return error.strerror or type(error).__name__


def _may_know(kind: str, incident: Incident) -> bool:
    """Nobody outside is told of a drill, and of our own people nobody who is not to be told."""
    return incident.drill is None or (incident.drill_told and audiences.KINDS[kind].ours)


def _written(settings: Settings, row: Row, events: Sequence[Event]) -> Message:
    kind, about, key = settings.audiences[str(row["audience"])].kind, str(row["about"]), str(row["key"])
    incident = fold(events)
    told = audiences.message(kind, incident, about, key, events[-1].hash)
    return Message(f"[DRILL] {told.title}", told.body) if incident.drill else told


def _send(audience: Audience, told: Message) -> str | None:
    """Return None when every address of the audience took it, else why not (never the address: it is a secret)."""
    import apprise  # noqa: PLC0415 - 0.3 s, and only who tells somebody needs it

    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it would write addresses across the screen
    problems = []
    for secret in audience.send:
        try:
            address = resolve_secret(secret)
        except IncidentctlError as error:
            problems.append(str(error.what))
            continue
        problem = _post(apprise, address, told)
        if problem:
            problems.append(problem)
    return "; ".join(problems) or None


def _post(apprise: Any, address: str, told: Message) -> str | None:
    # A redirect could lead the message, and the address that is a secret, anywhere.
    sender = apprise.Apprise(asset=apprise.AppriseAsset(http_redirects=False))
    try:
        if not sender.add(address):
            return "the address is not one that apprise understands"
        text = apprise.NotifyFormat.TEXT
        if not within(SEND_S, lambda: sender.notify(title=told.title, body=told.body, body_format=text)):
            return "it was not accepted"
    except TimeoutError:
        return f"no complete answer within {SEND_S:g} s"
    except Exception as error:  # a hundred plugins of others: none may take the outbox down with it
        return type(error).__name__
    return None
