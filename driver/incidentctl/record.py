"""The durable, hash-chained incident record and its locks (docs/contracts.md, 5): SQLite, or PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from incidentctl import _database
from incidentctl._chain import GENESIS, chain_hash, dump, first_broken, storable
from incidentctl._database import RecordError
from incidentctl.errors import LockedError, UsageError
from incidentctl.incident import ENDED, KINDS, Event, Incident, fold, left
from incidentctl.processes import is_alive, is_here, myself
from incidentctl.times import when

__all__ = ["GENESIS", "Record", "RecordError", "chain_hash", "first_broken", "open_record"]

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
_OPENING = 0x6F70656E  # any constant will do: "open"
_JOIN = sa.text("INSERT INTO incident (incident_id) VALUES (:incident_id) ON CONFLICT DO NOTHING")


def open_record(url: str) -> Record:
    """Given a database URL (sqlite:///… or postgresql+psycopg://…), return its record, made when missing.

    Raise ConfigurationError if the URL cannot be used, RecordError if the database cannot.
    """
    return Record(_database.open_database(url, _METADATA))


class Record:
    """An open record. Every method raises RecordError if the database does not do what it must."""

    def __init__(self, engine: sa.Engine) -> None:
        """Keep the engine; `open_record` makes it."""
        self._engine = engine
        self._held: dict[str, int] = {}  # incident → seq of the `locked` event by which it is ours

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

        Raise UsageError if an incident is declared twice, RecordError if the data cannot be written down, LockedError
        if a step is to begin by our lock and it was taken from us.
        """
        with self._transaction(writes=True) as connection:
            if kind == "step_started":
                self._still_ours(connection, incident_id)
            return _append(connection, incident_id, kind, data, actor)

    def append_if(
        self, incident_id: str, kind: str, data: dict[str, Any], actor: str, fits: Callable[[Incident], bool]
    ) -> Event | None:
        """Add one event if it fits the incident as it stands then: nobody writes to it in between.

        Return None if it does not fit. Raise what `fits` raises, and what `append` does.
        """
        with self._transaction(writes=True) as connection:
            self._still_ours(connection, incident_id)
            fit = fits(_stands(connection, incident_id))
            return _append(connection, incident_id, kind, data, actor) if fit else None

    def open(
        self,
        incident_id: str,
        kind: str,
        data: dict[str, Any],
        actor: str,
        fits: Callable[[Iterator[Incident]], object],
    ) -> Event:
        """Add the event that opens an incident (declared, reopened), unless `fits` raises at the sight of the open ones.

        Nobody opens another one in between.
        """
        with self._transaction(writes=True) as connection:
            if connection.dialect.name == "postgresql":  # SQLite has one writer at a time
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_OPENING)))
            ended = _ended(connection)
            fits(_stands(connection, name) for name in _incidents(connection) if name not in ended)
            return _append(connection, incident_id, kind, data, actor)

    def events(self, incident_id: str) -> list[Event]:
        """Return an incident's events in order; none if it is not there."""
        with self._transaction() as connection:
            return _events(connection, incident_id)

    def incident(self, incident_id: str) -> Incident:
        """Return an incident as it stands now: a lock whose process is gone holds nobody up."""
        with self._transaction() as connection:
            return _stands(connection, incident_id)

    def incidents(self) -> list[str]:
        """Return the ids of all incidents, newest first."""
        with self._transaction() as connection:
            return _incidents(connection)

    def earlier(self, kind: str, before: datetime, most: int, *, drills: bool) -> list[Event]:
        """Return the newest events of a kind that were recorded before a moment, in whatever incident; newest first.

        Those of drills count among them, or do not.
        """
        query = sa.select(_EVENT).where(
            _EVENT.c.kind == kind, _EVENT.c.at < before.astimezone(UTC).isoformat(timespec="milliseconds")
        )
        with self._transaction() as connection:
            if not drills:
                query = query.where(_EVENT.c.incident_id.not_in(_drills(connection)))
            rows = connection.execute(query.order_by(_EVENT.c.at.desc()).limit(most)).mappings()
            return [_event({**row}) for row in rows]

    def unsettled(self, since: datetime) -> list[str]:
        """Return the ids of the incidents that are open, or of which something was recorded since; newest first."""
        lately = sa.select(_EVENT.c.incident_id).where(_EVENT.c.at >= since.astimezone(UTC).isoformat()).distinct()
        with self._transaction() as connection:
            stirred, ended = set(connection.scalars(lately)), _ended(connection)
            return [name for name in _incidents(connection) if name in stirred or name not in ended]

    def find(self, prefix: str | None = None) -> str:
        """Given the beginning of an id, in any case, return the incident that is meant.

        Without one: the newest open incident, a drill only where nothing else is open, else the newest. Raise UsageError,
        naming what there is.
        """
        with self._transaction() as connection:
            known, ended = _incidents(connection), _ended(connection)
            left = [name for name in known if name not in ended] if prefix is None else []
            real = [name for name in left if len(left) == 1 or _stands(connection, name).drill is None]
        if not known:
            raise UsageError("There is no incident yet", fix="incidentctl run declares one")
        if prefix is None:
            return (real or left or known)[0]
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
    def hold(self, incident_id: str, actor: str, take_over: int | None = None) -> Iterator[Event]:
        """Hold the incident's lock for as long as the body runs; give the `locked` event.

        A lock whose process is gone is taken over, and the event names that process under `cut_off`. One of another host
        counts as alive, unless a person says otherwise: `take_over` is the seq of the `locked` event that they have seen,
        and the event says from whom it was `taken_from`. Raise LockedError naming who holds it.
        """
        mine = myself()
        with self._transaction(writes=True) as connection:
            _lock(connection, incident_id)
            events = _events(connection, incident_id)
            holder = fold(events).holder if events else None
            told = mine if holder is None else {**mine, "cut_off": holder.get("pid")}
            if holder is not None and is_alive(holder):
                if is_here(holder) or holder["seq"] != take_over:
                    raise _held_by(holder, incident_id)
                told["taken_from"] = {key: holder.get(key) for key in ("actor", "pid", "host", "at")}
            locked = _append(connection, incident_id, "locked", told, actor)
        self._held[incident_id] = locked.seq
        try:
            yield locked
        except BaseException:
            del self._held[incident_id]
            with suppress(RecordError):  # what the body raised must be told; who is gone holds nobody up
                self.append(incident_id, "unlocked", mine, actor)
            raise
        del self._held[incident_id]
        self.append(incident_id, "unlocked", mine, actor)

    def holds(self, incident_id: str) -> bool:
        """Say whether it is we who hold the incident's lock."""
        return incident_id in self._held

    def must_be_ours(self, incident_id: str) -> None:
        """Raise LockedError if we held the incident's lock and it was taken from us."""
        with self._transaction(writes=True) as connection:
            self._still_ours(connection, incident_id)

    def _still_ours(self, connection: sa.Connection, incident_id: str) -> None:
        """Who took the lock over may act already: whoever held it before begins nothing and decides nothing any more."""
        _lock(connection, incident_id)
        if incident_id not in self._held:
            return
        holder = fold(_events(connection, incident_id)).holder
        if holder is None or holder["seq"] != self._held[incident_id]:
            raise LockedError(
                f"{incident_id} was taken over, so this is where it ends here",
                "Somebody was sure that this process is gone",
                f"incidentctl timeline {incident_id} says who it was, and how they go on",
            )

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
    _lock(connection, incident_id)
    seq, previous = _last(connection, incident_id)
    if kind == "declared" and seq:
        raise UsageError(f"{incident_id} has been declared already", fix="declare it again under another id")
    row: dict[str, Any] = {
        "incident_id": incident_id,
        "seq": seq + 1,
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "actor": storable(actor),
        "kind": kind,
        "data": dump(data),
        "prev_hash": previous,
    }
    row["hash"] = chain_hash(previous, row)
    connection.execute(sa.insert(_EVENT).values(row))
    return _event(row)


def _lock(connection: sa.Connection, incident_id: str) -> None:
    """Let nobody else write to an incident before this transaction ends; what is read from here on stays true in it."""
    connection.execute(_JOIN, {"incident_id": incident_id})
    connection.execute(sa.select(_INCIDENT).where(_INCIDENT.c.incident_id == incident_id).with_for_update())


def _held_by(holder: Mapping[str, Any], incident_id: str) -> LockedError:
    fix = "wait for it, or end that process: the next command then takes over"
    if not is_here(holder):
        fix = f"wait for it, or end it there; if it is gone for certain: incidentctl resume {incident_id} --take-over"
    return LockedError(
        f"{holder['actor']} is at work on {incident_id}",
        f"Process {holder.get('pid')} on {holder.get('host')} has held it since {when(holder['at'])}",
        fix,
    )


def _stands(connection: sa.Connection, incident_id: str) -> Incident:
    incident = fold(_events(connection, incident_id))
    return incident if incident.holder is None or is_alive(incident.holder) else left(incident)


def _incidents(connection: sa.Connection) -> list[str]:
    query = sa.select(_EVENT.c.incident_id).group_by(_EVENT.c.incident_id)
    return list(connection.scalars(query.order_by(sa.func.min(_EVENT.c.at).desc(), _EVENT.c.incident_id.desc())))


def _drills(connection: sa.Connection) -> list[str]:
    named = sa.select(_EVENT).where(_EVENT.c.kind == "declared", _EVENT.c.data.contains('"drill"'))
    declared = (_event({**row}) for row in connection.execute(named).mappings())
    return [event.incident_id for event in declared if event.data.get("drill")]


def _ended(connection: sa.Connection) -> set[str]:
    changes = sa.select(_EVENT.c.incident_id, _EVENT.c.kind).where(_EVENT.c.kind.in_((*ENDED, "reopened")))
    last = dict(connection.execute(changes.order_by(_EVENT.c.seq)).all())
    return {name for name, kind in last.items() if kind in ENDED}


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
