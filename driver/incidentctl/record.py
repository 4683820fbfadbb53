"""The durable, hash-chained incident record and its locks (docs/contracts.md, 5): SQLite, or PostgreSQL."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from incidentctl import _database
from incidentctl._database import RecordError
from incidentctl.errors import LockedError, UsageError
from incidentctl.incident import ENDED, KINDS, Event, Incident, fold, left
from incidentctl.processes import is_alive, myself

__all__ = ["GENESIS", "Record", "RecordError", "chain_hash", "first_broken", "open_record"]

GENESIS = "0" * 64  # the prev_hash of an incident's first event

_METADATA = sa.MetaData()
# One row an incident: what PostgreSQL locks while it appends. It says nothing that the events do not say.
_INCIDENT = sa.Table("incident", _METADATA, sa.Column("incident_id", sa.Text, primary_key=True))
_EVENT = sa.Table(
    "event",
    _METADATA,
    sa.Column("incident_id", sa.Text, sa.ForeignKey("incident.incident_id"), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    *(sa.Column(name, sa.Text, nullable=False) for name in ("at", "actor", "kind", "data", "prev_hash", "hash")),
)
_JOIN = sa.text("INSERT INTO incident (incident_id) VALUES (:incident_id) ON CONFLICT DO NOTHING")


def open_record(url: str) -> Record:
    """Given a database URL (sqlite:///… or postgresql+psycopg://…), return its record, made when missing.

    Raise ConfigurationError if the URL cannot be used, RecordError if the database cannot.
    """
    return Record(_database.open_database(url, _METADATA))


def chain_hash(prev_hash: str, row: Mapping[str, Any]) -> str:
    """Given the hash before and a row (its `data` as the stored text), return the row's hash, in hex."""
    fields = {name: row[name] for name in ("incident_id", "seq", "at", "actor", "kind", "data")}
    return hashlib.sha256((prev_hash + _dump(fields)).encode("ascii")).hexdigest()


def first_broken(rows: Sequence[Mapping[str, Any]], head: str | None = None) -> int | None:
    """Given an incident's stored rows in order, return the seq of the first broken one; None if whole.

    If no row has the hash `head`, the tail was cut or the whole chain written anew: no row shows which,
    so the seq after the last one comes back. A record that lost all its rows is broken from 1 on.
    """
    previous, seen = GENESIS, set()
    for expected, row in enumerate(rows, start=1):
        linked = row["seq"] == expected and row["prev_hash"] == previous
        if not linked or row["hash"] != chain_hash(previous, row):
            return expected
        previous = row["hash"]
        seen.add(previous)
    return len(rows) + 1 if not rows or (head is not None and head not in seen) else None


class Record:
    """An open record. Every method raises RecordError if the database does not do what it must."""

    def __init__(self, engine: sa.Engine) -> None:
        """Keep the engine; `open_record` makes it."""
        self._engine = engine

    def __enter__(self) -> Self:
        """Return the record itself."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let go of the database's connections."""
        self._engine.dispose()

    def append(self, incident_id: str, kind: str, data: dict[str, Any], actor: str) -> Event:
        """Add one event; when this returns, it is on disk. Return it as it will be read.

        Raise UsageError if an incident is declared twice, RecordError if the data cannot be written down.
        """
        with self._transaction(writes=True) as connection:
            return _append(connection, incident_id, kind, data, actor)

    def events(self, incident_id: str) -> list[Event]:
        """Return an incident's events in order; none if it is not there."""
        with self._transaction() as connection:
            return _events(connection, incident_id)

    def incident(self, incident_id: str) -> Incident:
        """Return an incident as it stands now: a lock whose process is gone holds nobody up."""
        incident = fold(self.events(incident_id))
        return incident if incident.holder is None or is_alive(incident.holder) else left(incident)

    def incidents(self) -> list[str]:
        """Return the ids of all incidents, newest first."""
        query = sa.select(_EVENT.c.incident_id).group_by(_EVENT.c.incident_id)
        newest_first = query.order_by(sa.func.min(_EVENT.c.at).desc(), _EVENT.c.incident_id.desc())
        with self._transaction() as connection:
            return list(connection.scalars(newest_first))

    def unsettled(self, since: datetime) -> list[str]:
        """Return the ids of the incidents that are open, or of which something was recorded since; newest first."""
        lately = sa.select(_EVENT.c.incident_id).where(_EVENT.c.at >= since.astimezone(UTC).isoformat()).distinct()
        with self._transaction() as connection:
            stirred = set(connection.scalars(lately))
        ended = self._ended()
        return [name for name in self.incidents() if name in stirred or name not in ended]

    def find(self, prefix: str | None = None) -> str:
        """Given the beginning of an id, in any case, return the incident that is meant.

        Without one: the newest open incident, else the newest. Raise UsageError, naming what there is.
        """
        known = self.incidents()
        if not known:
            raise UsageError("There is no incident yet", fix="incidentctl run declares one")
        if prefix is None:
            ended = self._ended()
            return next((name for name in known if name not in ended), known[0])
        found = [name for name in known if name.lower().startswith(prefix.lower())]
        exact = [name for name in found if name.lower() == prefix.lower()]
        if len(found) != 1 and len(exact) != 1:
            what = f"{len(found)} incidents begin" if found else "No incident begins"
            listed = ", ".join((found or known)[:10]) + (", …" if len(found or known) > 10 else "")
            raise UsageError(f"{what} with {prefix!r}", f"There are: {listed}", "give as much of the id as is unique")
        return (exact or found)[0]

    def head(self, incident_id: str) -> str:
        """Return the hash of the incident's newest event, as it goes out with notifications."""
        with self._transaction() as connection:
            return _last(connection, incident_id)[1]

    def verify(self, incident_id: str, head: str | None = None) -> int | None:
        """Return the seq of the first event that is not as it was written; None if the chain is whole.

        `head` is a head hash that went out earlier.
        """
        with self._transaction() as connection:
            return first_broken([{**row} for row in connection.execute(_rows_of(incident_id)).mappings()], head)

    @contextmanager
    def hold(self, incident_id: str, actor: str) -> Iterator[Event]:
        """Hold the incident's lock for as long as the body runs; give the `locked` event.

        A lock whose process is gone is taken over, and the event names that process under `cut_off`; one of another
        host counts as alive. Raise LockedError naming who holds it.
        """
        mine = myself()
        with self._transaction(writes=True) as connection:
            events = _events(connection, incident_id)
            holder = fold(events).holder if events else None
            if holder is not None and is_alive(holder):
                raise LockedError(
                    f"{holder['actor']} is at work on {incident_id}",
                    f"Process {holder.get('pid')} on {holder.get('host')} has held it since {holder['at']}",
                    "wait for it, or end that process there: the next command then takes over",
                )
            told = mine if holder is None else {**mine, "cut_off": holder.get("pid")}
            locked = _append(connection, incident_id, "locked", told, actor)
        try:
            yield locked
        finally:
            self.append(incident_id, "unlocked", mine, actor)

    def _ended(self) -> set[str]:
        changes = sa.select(_EVENT.c.incident_id, _EVENT.c.kind).where(_EVENT.c.kind.in_((*ENDED, "reopened")))
        with self._transaction() as connection:
            last = dict(connection.execute(changes.order_by(_EVENT.c.seq)).all())
        return {name for name, kind in last.items() if kind in ENDED}

    @contextmanager
    def _transaction(self, *, writes: bool = False) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect().execution_options(writes=writes) as connection, connection.begin():
                yield connection
        except SQLAlchemyError as error:
            raise _database.explain(self._engine, error) from error


def _append(connection: sa.Connection, incident_id: str, kind: str, data: Mapping[str, Any], actor: str) -> Event:
    if kind not in KINDS:
        raise ValueError(f"no such kind of event: {kind}")
    connection.execute(_JOIN, {"incident_id": incident_id})
    connection.execute(sa.select(_INCIDENT).where(_INCIDENT.c.incident_id == incident_id).with_for_update())
    seq, previous = _last(connection, incident_id)
    if kind == "declared" and seq:
        raise UsageError(f"{incident_id} has been declared already", fix="declare it again under another id")
    row: dict[str, Any] = {
        "incident_id": incident_id,
        "seq": seq + 1,
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "actor": _storable(actor),
        "kind": kind,
        "data": _dump(data),
        "prev_hash": previous,
    }
    row["hash"] = chain_hash(previous, row)
    connection.execute(sa.insert(_EVENT).values(row))
    return _event(row)


def _last(connection: sa.Connection, incident_id: str) -> tuple[int, str]:
    newest = _rows_of(incident_id).order_by(None).order_by(_EVENT.c.seq.desc()).limit(1)
    row = connection.execute(newest).mappings().first()
    return (0, GENESIS) if row is None else (row["seq"], row["hash"])


def _events(connection: sa.Connection, incident_id: str) -> list[Event]:
    return [_event({**row}) for row in connection.execute(_rows_of(incident_id)).mappings()]


def _rows_of(incident_id: str) -> sa.Select[Any]:
    return sa.select(_EVENT).where(_EVENT.c.incident_id == incident_id).order_by(_EVENT.c.seq)


def _event(row: Mapping[str, Any]) -> Event:
    try:
        data = json.loads(row["data"])
    except (TypeError, ValueError, RecursionError) as error:
        raise _damaged(row, str(error)) from error
    if not isinstance(data, dict):
        raise _damaged(row, "its data is not a mapping")
    return Event(**{**row, "data": data})


def _damaged(row: Mapping[str, Any], why: str) -> RecordError:
    return RecordError(
        f"Event {row['seq']} of {row['incident_id']} is damaged",
        why,
        "keep the file as evidence and go on with a copy from before; incidentctl doctor checks the chain",
    )


def _dump(value: Any) -> str:
    """Given data, return the one text that is stored and hashed: pure ASCII, whatever was typed."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise RecordError("This cannot be recorded", str(error), "report it: events hold plain JSON data") from error


def _storable(text: str) -> str:
    """Spell out what a database refuses to store in a text: NUL, and bytes that were no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
