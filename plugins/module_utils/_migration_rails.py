"""Rails' migrations: `change`, or `up` and `down`, line by line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Callable

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _migration,
    _migration_ruby,
    _migration_statements,
)
from ansible_collections.incidentctl.response.plugins.module_utils._migration import Migration, Operation, UnclearError
from ansible_collections.incidentctl.response.plugins.module_utils._migration_ruby import Call, Line

_CLASS = re.compile(r"^class [\w:]+ < ActiveRecord::Migration(?:\[[\d.]+\])?$")
_METHOD = re.compile(r"^def (?:self\.)?(change|up|down)(?:\s*\(\s*\))?$")
# What stands in the class beside its methods, and does nothing to the database.
_QUIET = re.compile(
    r"^(?:disable_ddl_transaction!|def (?!(?:self\.)?(?:change|up|down)\b)\w|class \w|private$|[A-Z]\w* = [\w\s:'\"\[\],%.()]*$)"
)
_WRAPPER = re.compile(r"^safety_assured\s*(?:\{\s*(?P<inner>.*?)\s*\}|do)$")


def is_one(text: str) -> bool:
    """Tell whether a Ruby file is a migration of Rails."""
    return bool(re.search(r"^\s*class\s+[\w:]+\s*<\s*ActiveRecord::Migration\b", text, re.MULTILINE))


def read(name: str, text: str) -> Migration:
    """Given a migration's text, return what it does. Raise UnclearError if its lines cannot be told apart."""
    methods: dict[str, list[Line]] = {}
    beside: list[Operation] = []
    for line in _body(_migration_ruby.tree(text)):
        method = _METHOD.match(line.text)
        if method and method[1] not in methods:
            methods[method[1]] = line.block
        elif method or not _QUIET.match(line.text):
            beside.append(_migration.unknown(f"beside its methods: {line.text[:60]}"))
    forward = methods.get("change", methods.get("up", []))
    operations = (*beside, *(found for line in forward for found in _line(line)))
    way_back, why = _way_back(methods, forward)
    reversible, why = _migration.reversed_by(operations, way_back, why)
    return Migration(name, "Rails", operations, reversible, why)


def _body(lines: Sequence[Line]) -> list[Line]:
    classes = [line for line in lines if _CLASS.match(line.text)]
    others = [
        line for line in lines if line not in classes and not line.text.startswith(("require ", "require_relative "))
    ]
    if len(classes) != 1 or others:
        raise UnclearError("it is more than one plain class")
    return classes[0].block


def _way_back(methods: dict[str, list[Line]], forward: Sequence[Line]) -> tuple[bool | None, str]:
    if "change" in methods:
        return next(filter(None, map(_way_back_of_change, _flat(forward))), (True, ""))
    down = methods.get("down")
    if down and any(line.text.startswith("raise") for line in _flat(down)):
        return False, "its down refuses"
    if not down and forward:
        return False, "it has no down" if down is None else "its down does nothing"
    return True, ""


def _way_back_of_change(line: Line) -> tuple[bool | None, str] | None:
    verb = re.split(r"\W", line.text, maxsplit=1)[0]
    if verb in ("execute", "change_column", "up_only"):
        return False, f"{verb} in change has no way back"
    if verb in ("remove_columns", "drop_table") and not line.opens:
        return False, f"{verb} in change does not say what was there"
    if verb.startswith(("create_", "add_", "rename_", "enable_", "safety_assured")) or verb == "t":
        return None
    return None, f"whether {verb or 'it'} can be taken back is not known"


def _flat(lines: Sequence[Line]) -> list[Line]:
    return [found for line in lines for found in (line, *_flat(line.block))]


def _line(line: Line) -> list[Operation]:
    wrapper = _WRAPPER.match(line.text)
    if wrapper and line.opens:
        return [found for one in line.block for found in _line(one)]
    if wrapper and wrapper["inner"]:
        return _line(line._replace(text=wrapper["inner"]))
    try:
        call = _migration_ruby.call(line.text)
        if call.verb == "change_table":
            return _change_table(line, call)
        if call.verb == "execute":
            return _execute(line, call)
        if call.verb not in _OPERATIONS or (
            line.opens and call.verb not in ("create_table", "create_join_table", "drop_table")
        ):
            raise UnclearError("not known here")
        if line.opens and any(not one.text.startswith(f"{call.block_name}.") for one in line.block):
            raise UnclearError("other calls within it")
        return _OPERATIONS[call.verb](call)
    except (IndexError, UnclearError) as error:
        return [_migration.unknown(line.text[:60], "" if isinstance(error, IndexError) else str(error))]


def _execute(line: Line, call: Call) -> list[Operation]:
    if len(call.positional) != 1 or call.named:
        raise UnclearError("its SQL is put together when it runs")
    given = re.sub(r"\.(?:squish|strip)$", "", call.positional[0])
    text = line.documents.get(given)
    if text is None:
        if not re.fullmatch(r"'[^'\\]*'|\"[^\"\\]*\"", given):
            raise UnclearError("its SQL is put together when it runs")
        text = given[1:-1]
    if "#{" in text:
        raise UnclearError("its SQL is put together when it runs")
    return list(_migration_statements.operations(text))


def _change_table(line: Line, call: Call) -> list[Operation]:
    owner = call.positional[0]
    found: list[Operation] = []
    for one in line.block:
        inner = _migration_ruby.call(one.text)
        receiver, _dot, verb = inner.verb.partition(".")
        verb = _IN_TABLE.get(verb, verb)
        if receiver != call.block_name or one.opens or not verb:
            raise UnclearError("other calls within it")
        if verb in _OPERATIONS:
            found.extend(_OPERATIONS[verb](inner._replace(verb=verb, positional=[owner, *inner.positional])))
        elif verb in _TYPES:
            columns = [Call("add_column", [owner, column, f":{verb}"], inner.named, "") for column in inner.positional]
            found.extend(operation for column in columns for operation in _add_column(column))
        else:
            raise UnclearError(f"{verb} is not known here")
    if not found:
        raise UnclearError("nothing in it")
    return found


def _word(call: Call, place: int) -> str:
    return _migration_ruby.name(call.positional[place])


def _create_table(call: Call) -> list[Operation]:
    if call.named.get("force", "false") not in ("false", "nil"):
        return [_migration.table("drop", _word(call, 0), False, "created anew, by force")]
    sure = call.named.get("if_not_exists", "false") == "false"
    return [_migration.table("add", _word(call, 0), True, is_new=sure)]


def _create_join_table(call: Call) -> list[Operation]:
    named = call.named.get("table_name")
    name = _migration_ruby.name(named) if named else "_".join(sorted((_word(call, 0), _word(call, 1))))
    return [_migration.table("add", name, True)]


def _drop_table(call: Call) -> list[Operation]:
    return [_migration.table("drop", _migration_ruby.name(one), False) for one in call.positional]


def _rename_table(call: Call) -> list[Operation]:
    return [_migration.renamed("table", _word(call, 0), _word(call, 0), _word(call, 1))]


def _optional(call: Call, default: str = "true") -> bool | None:
    """Whether a row may be written without the new column: it may be empty, or the table itself has a default."""
    null, filled = call.named.get("null", default), call.named.get("default", "nil")
    if null == "true" or (filled != "nil" and not filled.startswith("->")) or "as" in call.named:
        return True
    return True if filled.startswith("->") else False if null == "false" else None


def _add_column(call: Call) -> list[Operation]:
    unique = re.search(r"\bunique\b(?!:\s*false)", call.named.get("index", ""))
    filled = call.named.get("default", "nil") != "nil"
    optional = _optional(call)
    primary = call.positional[2] == ":primary_key" or "primary_key" in call.named
    return [
        _migration.added_column(
            _word(call, 0), _word(call, 1), optional=optional, unique=primary or bool(unique and filled)
        )
    ]


def _add_reference(call: Call) -> list[Operation]:
    owner = _word(call, 0)
    polymorphic = call.named.get("polymorphic", "false") != "false"
    names = [f"{_migration_ruby.name(one)}_id" for one in call.positional[1:]]
    names += [f"{_migration_ruby.name(one)}_type" for one in call.positional[1:] if polymorphic]
    if not names:
        raise UnclearError("a reference to nothing")
    return [_migration.added_column(owner, name, optional=_optional(call)) for name in names]


def _add_timestamps(call: Call) -> list[Operation]:
    optional = _optional(call, default="false")
    return [_migration.added_column(_word(call, 0), name, optional=optional) for name in ("created_at", "updated_at")]


def _remove_columns(call: Call) -> list[Operation]:
    names = call.positional[1:2] if call.verb == "remove_column" else call.positional[1:]
    if not names:
        raise UnclearError("no column is named")
    return [_migration.column("drop", _word(call, 0), _migration_ruby.name(one), False) for one in names]


def _remove_reference(call: Call) -> list[Operation]:
    return [_migration.column("drop", _word(call, 0), f"{_word(call, 1)}_id", False)]


def _remove_timestamps(call: Call) -> list[Operation]:
    return [_migration.column("drop", _word(call, 0), name, False) for name in ("created_at", "updated_at")]


def _rename_column(call: Call) -> list[Operation]:
    owner = _word(call, 0)
    return [_migration.renamed("column", owner, f"{owner}.{_word(call, 1)}", _word(call, 2))]


def _change_column(call: Call) -> list[Operation]:
    return [_migration.column("change", _word(call, 0), _word(call, 1), False, "its type")]


def _change_null(call: Call) -> list[Operation]:
    owner, name, empty = _word(call, 0), _word(call, 1), call.positional[2]
    if empty not in ("true", "false"):
        raise UnclearError("whether it may be empty is put together when it runs")
    why = "must be filled" if empty == "false" else "it may be empty, which the old release may not expect"
    return [_migration.column("change", owner, name, False if empty == "false" else None, why)]


def _change_default(call: Call) -> list[Operation]:
    to = call.named.get("to", call.positional[2] if len(call.positional) > 2 else "nil")
    gone = to == "nil"
    why = "its default is gone, on which the old release may rely" if gone else ""
    return [_migration.column("change", _word(call, 0), _word(call, 1), None if gone else True, why)]


def _index(op: str) -> Callable[[Call], list[Operation]]:
    def read(call: Call) -> list[Operation]:
        said = call.named.get("unique", "false")
        unique = None if op == "drop" else {"false": False, "true": True}.get(said)
        columns = call.positional[1] if len(call.positional) > 1 else call.named.get("name", "(unnamed)")
        return [_migration.index(op, _word(call, 0), f"on {columns}", unique=unique)]

    return read


def _constraint(op: str) -> Callable[[Call], list[Operation]]:
    def read(call: Call) -> list[Operation]:
        return [_migration.constraint(op, _word(call, 0), call.named.get("name", "(unnamed)").strip("'\":"))]

    return read


def _quiet(_call: Call) -> list[Operation]:
    return []


def _thing(op: str, kind: str, harmless: bool | None, why: str = "") -> Callable[[Call], list[Operation]]:
    def read(call: Call) -> list[Operation]:
        return [Operation(op, f"{kind} {_word(call, 0)}", harmless, why=why)]

    return read


_TYPES = frozenset(
    {
        "string", "text", "integer", "bigint", "float", "decimal", "numeric", "datetime", "timestamp", "timestamptz",
        "time", "date", "binary", "blob", "boolean", "json", "jsonb", "uuid", "inet", "citext", "hstore", "enum",
    }
)  # fmt: skip
_IN_TABLE = {
    "references": "add_reference",
    "belongs_to": "add_reference",
    "timestamps": "add_timestamps",
    "remove": "remove_columns",
    "remove_references": "remove_reference",
    "remove_belongs_to": "remove_reference",
    "remove_timestamps": "remove_timestamps",
    "rename": "rename_column",
    "change": "change_column",
    "change_null": "change_column_null",
    "change_default": "change_column_default",
    "column": "add_column",
    "index": "add_index",
    "remove_index": "remove_index",
    "foreign_key": "add_foreign_key",
    "remove_foreign_key": "remove_foreign_key",
    "check_constraint": "add_check_constraint",
}
_OPERATIONS: dict[str, Callable[[Call], list[Operation]]] = {
    "create_table": _create_table,
    "create_join_table": _create_join_table,
    "drop_table": _drop_table,
    "drop_join_table": lambda call: [_migration.table("drop", f"{_word(call, 0)}_{_word(call, 1)}", False)],
    "rename_table": _rename_table,
    "add_column": _add_column,
    "add_reference": _add_reference,
    "add_belongs_to": _add_reference,
    "add_timestamps": _add_timestamps,
    "remove_column": _remove_columns,
    "remove_columns": _remove_columns,
    "remove_reference": _remove_reference,
    "remove_belongs_to": _remove_reference,
    "remove_timestamps": _remove_timestamps,
    "rename_column": _rename_column,
    "change_column": _change_column,
    "change_column_null": _change_null,
    "change_column_default": _change_default,
    "change_column_comment": _quiet,
    "change_table_comment": _quiet,
    "add_index": _index("add"),
    "remove_index": _index("drop"),
    "rename_index": _index("change"),
    "add_foreign_key": _constraint("add"),
    "add_check_constraint": _constraint("add"),
    "add_unique_constraint": _constraint("add"),
    "add_exclusion_constraint": _constraint("add"),
    "remove_foreign_key": _constraint("drop"),
    "remove_check_constraint": _constraint("drop"),
    "remove_unique_constraint": _constraint("drop"),
    "validate_foreign_key": _quiet,
    "validate_check_constraint": _quiet,
    "validate_constraint": _quiet,
    "enable_extension": _thing("add", "extension", True),
    "disable_extension": _thing("drop", "extension", False),
    "create_enum": _thing("add", "type", True),
    "add_enum_value": _thing("change", "type", None, "a value that the old release does not know"),
    "drop_enum": _thing("drop", "type", False),
}
