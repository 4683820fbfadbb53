"""What SQL statements do to a schema, and whether code from before them can run on what they leave behind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Callable

from ansible_collections.incidentctl.response.plugins.module_utils import _migration, _migration_sql
from ansible_collections.incidentctl.response.plugins.module_utils._migration import Operation, UnclearError

Words = Sequence[str]

# Settings, transactions, upkeep: nothing of the schema, and no row, is another one afterwards.
_NOTHING = frozenset(
    {"SET", "RESET", "BEGIN", "START", "COMMIT", "END", "COMMENT", "ANALYZE", "VACUUM", "REINDEX", "LOCK", "USE"}
)
_TRANSACTIONS = frozenset({"BEGIN", "START", "COMMIT", "END"})
_OF_TRANSACTIONS = frozenset(
    {"TRANSACTION", "WORK", "DEFERRED", "IMMEDIATE", "EXCLUSIVE", "ISOLATION", "LEVEL", "READ", "WRITE", "SERIALIZABLE"}
)
_QUIET_PRAGMAS = frozenset({"FOREIGN_KEYS", "FOREIGN_KEY_CHECK", "DEFER_FOREIGN_KEYS", "LEGACY_ALTER_TABLE"})
# A statement that begins in the middle of another: the sign between them is one that we do not know, like GO.
_BEGINNINGS = frozenset(
    {"CREATE", "DROP", "ALTER", "TRUNCATE", "INSERT", "UPDATE", "DELETE", "MERGE", "EXEC", "EXECUTE", "GO", "RENAME"}
)
_NEW_THINGS = ("SEQUENCE", "SCHEMA", "EXTENSION", "TYPE", "DOMAIN", "VIEW", "FUNCTION", "PROCEDURE", "AGGREGATE")
_BEFORE_KIND = frozenset(
    {"OR", "REPLACE", "TEMP", "TEMPORARY", "UNLOGGED", "LOCAL", "GLOBAL", "UNIQUE", "MATERIALIZED", "RECURSIVE"}
)
_SERIAL = re.compile(r"(?:BIG|SMALL)?SERIAL[248]?")
_NAME = re.compile(r'[^\W\d]|["`]')
_CONSTRAINTS = frozenset({"CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN", "CHECK", "EXCLUDE"})


def operations(text: str) -> tuple[Operation, ...]:
    """Return what the statements of a text do. Raise UnclearError where they cannot be told apart."""
    return tuple(one for words in _migration_sql.statements(text) for one in _statement(words))


def _statement(words: Words) -> list[Operation]:
    verb = words[0].upper()
    if _does_nothing(verb, [word.upper() for word in words[1:]]):
        found: list[Operation] = []
    elif verb in _READERS:
        try:
            found = _READERS[verb](words)
        except (IndexError, UnclearError):
            return [_not_understood(words)]
    else:
        return [_not_understood(words)]
    return [_not_understood(words)] if _holds_another(words) else found


def _does_nothing(verb: str, rest: Words) -> bool:
    if verb in _TRANSACTIONS:
        return set(rest) <= _OF_TRANSACTIONS
    if verb == "PRAGMA":
        return bool(rest) and rest[0] in _QUIET_PRAGMAS
    return verb in _NOTHING and not {"SELECT", "CALL", "DO"} & set(rest)


def _not_understood(words: Words) -> Operation:
    return _migration.unknown("SQL " + " ".join(words[:6]) + ("…" if len(words) > 6 else ""))


def _holds_another(words: Words) -> bool:
    depth = 0
    table = words[0].upper() == "ALTER"
    for at, word in enumerate(words[1:], 1):
        depth += (word == "(") - (word == ")")
        before = words[at - 1].upper()
        if (
            depth == 0
            and word.upper() in _BEGINNINGS
            and before not in ("ON", "FOR", "BEFORE", "AFTER", "OR", "DO", "INSTEAD")
        ):
            # ALTER TABLE name DROP …, ALTER …, RENAME …: the beginning of an action, after the name or a comma.
            if (
                word.upper() == "EXECUTE"
                and words[at + 1 : at + 2]
                and words[at + 1].upper() in ("FUNCTION", "PROCEDURE")
            ):
                continue  # the end of a trigger
            action = table and word.upper() in ("DROP", "ALTER", "RENAME") and (before == "," or at <= _owner(words)[1])
            if not (action or (word.upper() == "DROP" and before == "COMMIT")):
                return True
    return False


def _without(words: Words, *skipped: str) -> list[str]:
    """Return the words after those of `skipped` that they begin with."""
    at = 0
    while at < len(words) and words[at].upper() in skipped:
        at += 1
    return list(words[at:])


def _named(words: Words) -> str:
    if not words or not _NAME.match(words[0]):
        raise UnclearError("no name where one was expected")
    return words[0]


def _create(words: Words) -> list[Operation]:
    before: set[str] = set()
    at = 1
    while words[at].upper() in _BEFORE_KIND:
        before.add(words[at].upper())
        at += 1
    kind, rest = words[at].upper(), words[at + 1 :]
    if before & {"TEMP", "TEMPORARY"} and kind == "TABLE":
        return []
    if kind == "INDEX":
        return _create_index(rest, "UNIQUE" in before)
    there_already = [word.upper() for word in rest[:3]] == ["IF", "NOT", "EXISTS"]
    rest = rest[3:] if there_already else rest
    if kind == "TABLE":
        name = _named(rest)
        if not ({"(", "AS", "LIKE", "PARTITION"} & {word.upper() for word in rest[1:2]}):
            raise UnclearError("a table without columns")
        gone = _migration.table("drop", name, False, "if it was there, another one takes its place")
        return [gone if "REPLACE" in before else _migration.table("add", name, True, is_new=not there_already)]
    if kind in _NEW_THINGS:
        what = f"{kind.lower()} {_named(rest)}"
        if "REPLACE" in before:
            return [Operation("change", what, None, why="it may have been there, and be another one now")]
        return [Operation("add", what, True)]
    if kind == "TRIGGER":
        return [Operation("add", f"trigger {_named(rest)}", None, why="it acts on what the old release writes")]
    raise UnclearError("an unknown thing to create")


def _create_index(words: Words, unique: bool) -> list[Operation]:
    words = _without(words, "CONCURRENTLY", "IF", "NOT", "EXISTS")
    if words[0].upper() == "ON":
        words = ["(unnamed)", *words]
    if words[1].upper() != "ON":
        raise UnclearError("an index on nothing")
    return [_migration.index("add", _named(_without(words[2:], "ONLY")), words[0], unique=unique)]


def _drop(words: Words) -> list[Operation]:
    words = _without(words[1:], "MATERIALIZED", "FOREIGN")
    kind = words[0].upper()
    rest = _without(words[1:], "CONCURRENTLY", "IF", "EXISTS")
    names = [word for word in rest if _NAME.match(word) and word.upper() not in ("CASCADE", "RESTRICT")]
    if not names:
        raise UnclearError("nothing to drop")
    if kind == "TABLE":
        return [_migration.table("drop", name, False) for name in names]
    if kind == "INDEX":
        return [_migration.index("drop", "a table", names[0], unique=None)]
    if kind in _NEW_THINGS:
        return [Operation("drop", f"{kind.lower()} {names[0]}", False, loses=kind in ("SCHEMA", "TYPE"))]
    return [Operation("drop", f"{kind.lower()} {names[0]}", None, why="the old release may rely on it")]


def _owner(words: Words) -> tuple[str, int]:
    """Return the table of an ALTER TABLE, and where its first action begins."""
    rest = _without(words[2:], "IF", "EXISTS", "ONLY")
    at = len(words) - len(rest)
    return (words[at] if at < len(words) else ""), at + 1


def _alter(words: Words) -> list[Operation]:
    if words[1].upper() == "INDEX" and "RENAME" in (word.upper() for word in words):
        return [Operation("change", f"index {_named(_without(words[2:], 'IF', 'EXISTS'))}", True)]
    if words[1].upper() == "TYPE" and [word.upper() for word in words[3:5]] == ["ADD", "VALUE"]:
        return [Operation("change", f"type {words[2]}", None, why="it has a value that the old release does not know")]
    if words[1].upper() != "TABLE":
        return [
            Operation("change", f"{words[1].lower()} {_named(words[2:])}", None, why="the old release may rely on it")
        ]
    name, at = _owner(words)
    _named([name])
    return [one for action in _parts(words[at:]) for one in _action(name, action)]


def _parts(words: Words) -> list[list[str]]:
    """Cut words at the commas that stand in no brackets."""
    parts: list[list[str]] = [[]]
    depth = 0
    for word in words:
        depth += (word == "(") - (word == ")")
        if word == "," and depth == 0:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def _action(owner: str, words: Words) -> list[Operation]:
    verb, rest = words[0].upper(), list(words[1:])
    kind = rest[0].upper() if rest else ""
    if verb == "ADD":
        return _add(owner, rest)
    if verb == "DROP":
        return _drop_of(owner, rest)
    if verb == "ALTER" and kind not in ("CONSTRAINT", "INDEX"):
        rest = _without(rest, "COLUMN")
        return [_alter_column(owner, _named(rest), [word.upper() for word in rest[1:]])]
    if verb == "RENAME":
        return _rename(owner, rest)
    if verb in ("MODIFY", "CHANGE"):
        return [_migration.column("change", owner, _named(_without(rest, "COLUMN")), False, "its type or name")]
    if verb == "VALIDATE":
        return []
    raise UnclearError("an unknown change of a table")


def _add(owner: str, words: Words) -> list[Operation]:
    kind = words[0].upper()
    if kind in _CONSTRAINTS:
        name = words[1] if kind == "CONSTRAINT" else f"({' '.join(words[:2]).lower()})"
        return [_migration.constraint("add", owner, name)]
    if kind in ("INDEX", "KEY"):
        return [_migration.index("add", owner, words[1])]
    words = _without(words, "COLUMN", "IF", "NOT", "EXISTS")
    if words[0] == "(" or kind in ("PARTITION", "PERIOD", "FULLTEXT", "SPATIAL"):
        raise UnclearError("several columns in brackets, or no column")
    rest = [word.upper() for word in words[1:]]
    if not rest:
        raise UnclearError("a column without a type")
    serial = bool(_SERIAL.fullmatch(rest[0]) or {"GENERATED", "IDENTITY", "AUTO_INCREMENT"} & set(rest))
    # ON DELETE SET DEFAULT gives none.
    default = next((at for at, word in enumerate(rest) if word == "DEFAULT" and rest[at - 1] != "SET"), None)
    filled = serial or (default is not None and rest[default + 1] != "NULL")
    required = "NOT NULL" in " ".join(rest) or "PRIMARY" in rest
    bound = bool({"UNIQUE", "PRIMARY", "CHECK"} & set(rest))
    return [_migration.added_column(owner, _named(words), optional=filled or not required, unique=bound)]


def _drop_of(owner: str, words: Words) -> list[Operation]:
    kind = words[0].upper()
    name = _without(words[1:], "IF", "EXISTS", "KEY")
    if kind in ("CONSTRAINT", "FOREIGN", "PRIMARY", "CHECK"):
        return [_migration.constraint("drop", owner, name[0] if name else "(primary key)")]
    if kind in ("INDEX", "KEY"):
        return [_migration.index("drop", owner, name[0], unique=None)]
    if kind == "PARTITION":
        raise UnclearError("a part of a table")
    return [_migration.column("drop", owner, _named(_without(words, "COLUMN", "IF", "EXISTS")), False)]


def _alter_column(owner: str, name: str, words: Words) -> Operation:
    said = " ".join(words[:3])
    harmless: bool | None = False
    if said == "SET NOT NULL":
        why = "must be filled"
    elif said.startswith(("TYPE", "SET DATA TYPE")):
        why = "its type"
    elif said.startswith("SET DEFAULT"):
        harmless, why = True, ""
    elif said == "DROP NOT NULL":
        harmless, why = None, "it may be empty, which the old release may not expect"
    elif said == "DROP DEFAULT":
        harmless, why = None, "its default is gone, on which the old release may rely"
    else:
        raise UnclearError("an unknown change of a column")
    return _migration.column("change", owner, name, harmless, why)


def _rename(owner: str, words: Words) -> list[Operation]:
    kind = words[0].upper()
    if kind in ("TO", "AS"):
        return [_migration.renamed("table", owner, owner, words[1])]
    if kind in ("CONSTRAINT", "INDEX", "KEY"):
        return [Operation("change", f"{kind.lower()} {words[1]} of {owner}", None, why="renamed")]
    words = _without(words, "COLUMN")
    if len(words) < 3 or words[1].upper() != "TO":
        raise UnclearError("an unknown renaming")
    return [_migration.renamed("column", owner, f"{owner}.{words[0]}", words[2])]


def _insert(words: Words) -> list[Operation]:
    return [_migration.data(_named(_without(words[1:], "INTO", "IGNORE", "OR", "REPLACE")))]


def _lose(words: Words) -> list[Operation]:
    return [_migration.data(_named(_without(words[1:], "FROM", "TABLE", "ONLY")), loses=True)]


_READERS: dict[str, Callable[[Words], list[Operation]]] = {
    "CREATE": _create,
    "DROP": _drop,
    "ALTER": _alter,
    "INSERT": _insert,
    "UPDATE": _lose,
    "DELETE": _lose,
    "TRUNCATE": _lose,
}
