"""What a migration is made of: its operations, and what each of them means for the release before it."""

from __future__ import annotations

import re
from typing import NamedTuple

VERBS = {
    "add": "adds",
    "change": "changes",
    "drop": "drops",
    "data": "changes data of",
    "unknown": "does what was not understood:",
}


class Operation(NamedTuple):
    """One thing that a migration does to the database.

    `harmless`: True if the release from before the migration can run on what it leaves behind, False if it may not, None
    if that cannot be told. `table` is the table as the migration names it, "" if that is not known. `loses`: what was in
    the database is gone afterwards, and no way back brings it again.
    """

    op: str  # add, change, drop, data, unknown
    what: str
    harmless: bool | None
    table: str = ""
    why: str = ""  # why it is not harmless, or why that cannot be told
    loses: bool = False
    is_new: bool = False  # it adds the table as a whole, which cannot have been there before

    def __str__(self) -> str:
        """What it does, in words, and why that is a risk."""
        return f"{VERBS[self.op]} {self.what}{f' ({self.why})' if self.why else ''}"


class Migration(NamedTuple):
    """One migration. `reversible` is None where that cannot be told; `why` says why it is not True."""

    name: str
    framework: str
    operations: tuple[Operation, ...]
    reversible: bool | None
    why: str = ""
    parents: tuple[str, ...] = ()  # Alembic: the revisions that it comes after
    revision: str = ""
    replaces: tuple[str, ...] = ()  # Django: the migrations of the same application that it stands for


class UnclearError(ValueError):
    """A text that cannot be understood without running it; the message says why."""


def unknown(what: str, why: str = "") -> Operation:
    """Return an operation of which nothing is known but that it is there."""
    return Operation("unknown", what, None, why=why)


def table(op: str, name: str, harmless: bool | None, why: str = "", *, is_new: bool = False) -> Operation:
    """Return an operation on a whole table; dropping it loses what it held."""
    return Operation(op, f"table {name}", harmless, key(name), why, loses=op == "drop", is_new=is_new)


def column(op: str, owner: str, name: str, harmless: bool | None, why: str = "") -> Operation:
    """Return an operation on a column of a table; dropping it loses what it held."""
    return Operation(op, f"column {owner}.{name}", harmless, key(owner), why, loses=op == "drop")


def added_column(owner: str, name: str, *, optional: bool | None, unique: bool = False) -> Operation:
    """Return the adding of a column; `optional`: a row may be written without naming it, None if that is not known."""
    if optional and not unique:
        return column("add", owner, name, True)
    if optional is None:
        return column("add", owner, name, None, "whether it must be filled is not known")
    return column("add", owner, name, False, "unique" if optional else "must be filled, and has no default")


def renamed(kind: str, owner: str, name: str, to: str) -> Operation:
    """Return the renaming of a table or a column."""
    return Operation("change", f"{kind} {name} to {to}", False, key(owner), "renamed")


def data(owner: str, *, loses: bool = False) -> Operation:
    """Return a change of rows; `loses`: rows that were there are overwritten or gone."""
    return Operation("data", owner, None, key(owner), "whether the old release understands it is not known", loses)


def constraint(op: str, owner: str, name: str) -> Operation:
    """Return a constraint that is added, which old code may break, or dropped, on which old code may rely."""
    if op == "add":
        return Operation(
            "add", f"constraint {name} of {owner}", False, key(owner), "what the old release writes may break it"
        )
    return Operation(op, f"constraint {name} of {owner}", None, key(owner), "the old release may rely on it")


def index(op: str, owner: str, name: str, *, unique: bool | None = False) -> Operation:
    """Return an index that is added or dropped; `unique` is None where that is not known."""
    what, known = f"index {name} of {owner}", key(owner)
    if unique is False:
        return Operation(op, what, True, known)
    if op == "add":
        return Operation(op, what, False if unique else None, known, "unique" if unique else "it may be unique")
    return Operation(op, what, None, known, "if it is unique, the old release may rely on it")


def key(name: str) -> str:
    """Return a table's name as it is compared: without quotes and in small letters; "" if it is not known."""
    return "" if name.startswith("(") else re.sub(r'["`\[\]]', "", name).lower()


def reversed_by(operations: tuple[Operation, ...], way_back: bool | None, why: str) -> tuple[bool | None, str]:
    """Given the way back that a migration declares (and why not), return whether it brings back what was, and why not."""
    lost = [str(one.what) for one in operations if one.loses]
    if way_back is False:
        return False, why
    if lost:
        return False, f"the data of {lost[0]} does not come back"
    if way_back is None:
        return None, why
    unclear = [one.what for one in operations if one.op in ("data", "unknown")]
    return (None, f"not known of: {unclear[0]}") if unclear else (True, "")
