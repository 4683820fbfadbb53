"""Alembic's migrations: what `upgrade` does, by its syntax tree, and whether `downgrade` brings back what was."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Callable, Optional

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _migration,
    _migration_python,
    _migration_statements,
)
from ansible_collections.incidentctl.response.plugins.module_utils._migration import Migration, Operation, UnclearError
from ansible_collections.incidentctl.response.plugins.module_utils._migration_python import (
    argument,
    dotted,
    is_none,
    is_silent,
    name_of,
    truth,
    words,
)

_CONNECTIONS = frozenset({"op.get_bind", "op.get_context", "context.get_bind"})
# What stands for a table or a type while the migration runs, and is not in the database by being named.
_DESCRIPTIONS = ("table", "column", "Table", "Column", "MetaData", "Enum", "ENUM", "text", "inspect")


def is_one(tree: ast.Module) -> bool:
    """Tell whether a file is a migration of Alembic: it has a revision and a function `upgrade`."""
    return "revision" in _migration_python.constants(tree.body) and _function(tree, "upgrade") is not None


def read(name: str, tree: ast.Module) -> Migration:
    """Given the tree of a migration, return what it does."""
    known = _migration_python.constants(tree.body)
    upgrade, downgrade = _function(tree, "upgrade"), _function(tree, "downgrade")
    operations = _beside(tree) + (_Reader(known).read(upgrade.body) if upgrade else [])
    way_back, why = _way_back(downgrade, bool(operations))
    reversible, why = _migration.reversed_by(tuple(operations), way_back, why)
    revision = words(known.get("revision"), {}) or ""
    return Migration(name, "Alembic", tuple(operations), reversible, why, _texts(known.get("down_revision")), revision)


def _function(tree: ast.Module, name: str) -> ast.FunctionDef | None:
    found = [one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == name]
    return found[0] if len(found) == 1 else None


def _texts(node: ast.expr | None) -> tuple[str, ...]:
    nodes = node.elts if isinstance(node, (ast.Tuple, ast.List)) else [node]
    return tuple(text for text in (words(one, {}) for one in nodes) if text is not None)


def _beside(tree: ast.Module) -> list[Operation]:
    """What stands beside the functions is run as well, when the file is loaded."""
    harmless = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    named = [
        (one.module, word.name) for one in tree.body if isinstance(one, ast.ImportFrom)
        for word in one.names if (word.asname or word.name) == "op"
    ]  # fmt: skip
    if named not in ([], [("alembic", "op")]):
        return [_migration.unknown("what it calls `op` is not Alembic's")]
    beside = [one for one in tree.body if not isinstance(one, harmless) and not is_silent(one)]
    calls = [
        call for one in tree.body if isinstance(one, (ast.Assign, ast.AnnAssign)) and one.value for call in ast.walk(one.value)
        if isinstance(call, ast.Call) and dotted(call.func).startswith(("op.", "context."))
    ]  # fmt: skip
    return [_migration.unknown("code beside its functions")] if beside or calls else []


def _way_back(downgrade: ast.FunctionDef | None, acts: bool) -> tuple[bool | None, str]:
    if downgrade is None:
        return False, "it has no downgrade"
    if any(isinstance(one, ast.Raise) for one in ast.walk(downgrade)):
        return False, "its downgrade refuses"
    if acts and all(is_silent(one) or isinstance(one, ast.Return) for one in downgrade.body):
        return False, "its downgrade does nothing"
    return True, ""


class _Reader:
    """Reads statements with what is known at that place: constants, connections, and the tables of batches."""

    def __init__(self, known: Mapping[str, ast.expr]) -> None:
        self.known = dict(known)
        self.batches: dict[str, str] = {}

    def read(self, body: Sequence[ast.stmt]) -> list[Operation]:
        self.known.update(_migration_python.constants(list(body)))
        return [found for one in body for found in self._statement(one)]

    def _statement(self, one: ast.stmt) -> list[Operation]:
        if is_silent(one) or (isinstance(one, ast.Return) and one.value is None):
            return []
        if isinstance(one, ast.Expr) and isinstance(one.value, ast.Call):
            return self._call(one.value)
        if isinstance(one, ast.Assign) and self._describes(one.value):
            return []
        if isinstance(one, ast.With):
            return self._with(one)
        return [_migration.unknown(f"line {one.lineno}: what it does is only known when it runs")]

    def _describes(self, value: ast.expr) -> bool:
        """Nothing happens by an assignment if all that is called for it is known to do nothing."""
        calls = [dotted(call.func) for call in ast.walk(value) if isinstance(call, ast.Call)]
        types = ("sa.", "sqlalchemy.", "postgresql.", "mysql.", "sqlite.", "sql.")
        return all(
            name in _CONNECTIONS or name.startswith(types) or name.split(".")[-1] in _DESCRIPTIONS for name in calls
        )

    def _with(self, one: ast.With) -> list[Operation]:
        """`with op.batch_alter_table("t") as batch_op`, or a context in which the same operations are run."""
        for item in one.items:
            call = item.context_expr
            name = dotted(call.func) if isinstance(call, ast.Call) else ""
            if (
                isinstance(call, ast.Call)
                and name == "op.batch_alter_table"
                and isinstance(item.optional_vars, ast.Name)
            ):
                self.batches[item.optional_vars.id] = name_of(argument(call, "table_name", 0), self.known)
            elif not name.endswith("autocommit_block"):
                return [_migration.unknown(f"line {one.lineno}: what it does is only known when it runs")]
        return self.read(one.body)

    def _call(self, call: ast.Call) -> list[Operation]:
        owner = dotted(call.func.value) if isinstance(call.func, ast.Attribute) else ""
        verb = call.func.attr if isinstance(call.func, ast.Attribute) else dotted(call.func)
        try:
            if owner == "op" and verb in _OPERATIONS:
                found = _OPERATIONS[verb](call, self.known, None)
            elif owner in self.batches and verb in _OPERATIONS:
                found = _OPERATIONS[verb](call, self.known, self.batches[owner])
            elif verb == "execute" and (owner == "op" or self._is_connection(call)):
                found = self._execute(call)
            elif verb == "commit" and self._is_connection(call):
                found = []
            elif verb in ("create", "drop") and isinstance(call.func, ast.Attribute):
                found = [self._type(verb, call.func.value)]
            else:
                raise UnclearError("not known here")
        except UnclearError as error:
            return [_migration.unknown(f"line {call.lineno}: {ast.unparse(call.func)[:60]}", str(error))]
        return found

    def _is_connection(self, call: ast.Call) -> bool:
        made = call.func.value if isinstance(call.func, ast.Attribute) else None
        if isinstance(made, ast.Name):
            made = self.known.get(made.id)
        return isinstance(made, ast.Call) and dotted(made.func) in _CONNECTIONS

    def _type(self, verb: str, described: ast.expr) -> Operation:
        """`sa.Enum(…, name="state").create(bind)`: a type of the database, not a table."""
        made = self.known.get(described.id) if isinstance(described, ast.Name) else described
        if not isinstance(made, ast.Call) or dotted(made.func).split(".")[-1] not in ("Enum", "ENUM"):
            raise UnclearError("not known here")
        name = name_of(argument(made, "name"), self.known)
        if verb == "create":
            return Operation("add", f"type {name}", True)
        return Operation("drop", f"type {name}", False)

    def _execute(self, call: ast.Call) -> list[Operation]:
        text = words(call.args[0] if call.args else argument(call, "sqltext"), self.known)
        if text is None:
            raise UnclearError("its SQL is put together when it runs")
        return list(_migration_statements.operations(text))


_Operation = Callable[[ast.Call, Mapping[str, ast.expr], Optional[str]], list[Operation]]


def _at(call: ast.Call, name: str, place: int, table: str | None) -> ast.expr | None:
    """Return an argument; a batch knows its table, so that all after it stand one place earlier."""
    return argument(call, name, place if table is None else place - 1)


def _owner(call: ast.Call, known: Mapping[str, ast.expr], table: str | None, place: int = 0) -> str:
    return name_of(argument(call, "table_name", place), known) if table is None else table


def _create_table(call: ast.Call, known: Mapping[str, ast.expr], _table: str | None) -> list[Operation]:
    there_already = argument(call, "if_not_exists") is not None
    return [_migration.table("add", _owner(call, known, None), True, is_new=not there_already)]


def _drop_table(call: ast.Call, known: Mapping[str, ast.expr], _table: str | None) -> list[Operation]:
    return [_migration.table("drop", _owner(call, known, None), False)]


def _rename_table(call: ast.Call, known: Mapping[str, ast.expr], _table: str | None) -> list[Operation]:
    old = name_of(argument(call, "old_table_name", 0), known)
    return [_migration.renamed("table", old, old, name_of(argument(call, "new_table_name", 1), known))]


def _add_column(call: ast.Call, known: Mapping[str, ast.expr], table: str | None) -> list[Operation]:
    owner, described = _owner(call, known, table), _at(call, "column", 1, table)
    if isinstance(described, ast.Name):
        described = known.get(described.id)
    if not isinstance(described, ast.Call) or dotted(described.func).split(".")[-1] != "Column":
        raise UnclearError(f"the column of {owner} is made when it runs")
    name = name_of(argument(described, "name", 0), known)
    nullable, default = argument(described, "nullable"), argument(described, "server_default")
    key = truth(argument(described, "primary_key"), False)
    parts = {dotted(one.func).split(".")[-1] for one in described.args if isinstance(one, ast.Call)}
    optional = truth(nullable, not key)
    if (default is not None and not is_none(default)) or parts & {"Computed", "Identity"}:
        optional = True
    unique = truth(argument(described, "unique"), False) is not False or key is not False
    return [_migration.added_column(owner, name, optional=optional, unique=unique or "CheckConstraint" in parts)]


def _drop_column(call: ast.Call, known: Mapping[str, ast.expr], table: str | None) -> list[Operation]:
    name = name_of(_at(call, "column_name", 1, table), known)
    return [_migration.column("drop", _owner(call, known, table), name, False)]


def _alter_column(call: ast.Call, known: Mapping[str, ast.expr], table: str | None) -> list[Operation]:
    owner, name = _owner(call, known, table), name_of(_at(call, "column_name", 1, table), known)
    found = []
    if (to := argument(call, "new_column_name")) is not None:
        found.append(_migration.renamed("column", owner, f"{owner}.{name}", name_of(to, known)))
    if argument(call, "type_") is not None:
        found.append(_migration.column("change", owner, name, False, "its type"))
    nullable = argument(call, "nullable")
    if nullable is not None:
        empty = truth(nullable, True)
        why = "must be filled" if empty is False else "it may be empty, which the old release may not expect"
        found.append(_migration.column("change", owner, name, False if empty is False else None, why))
    default = argument(call, "server_default")
    if default is not None:
        gone = isinstance(default, ast.Constant) and not isinstance(default.value, str)
        why = "its default is gone, on which the old release may rely" if gone else ""
        found.append(_migration.column("change", owner, name, None if gone else True, why))
    said = {one.arg for one in call.keywords}
    if not found and said - {"comment", "existing_comment"} - {one for one in said if str(one).startswith("existing_")}:
        raise UnclearError(f"an unknown change of {owner}.{name}")
    return found or [_migration.column("change", owner, name, True)]


def _create_index(call: ast.Call, known: Mapping[str, ast.expr], table: str | None) -> list[Operation]:
    owner = _owner(call, known, table, 1)
    name = name_of(argument(call, "index_name", 0), known)
    return [_migration.index("add", owner, name, unique=truth(argument(call, "unique"), False))]


def _drop_index(call: ast.Call, known: Mapping[str, ast.expr], table: str | None) -> list[Operation]:
    owner = table or words(argument(call, "table_name", 1), known) or "a table"
    return [_migration.index("drop", owner, name_of(argument(call, "index_name", 0), known), unique=None)]


def _constraint(op: str, owner_at: int) -> _Operation:
    def read(call: ast.Call, known: Mapping[str, ast.expr], table: str | None) -> list[Operation]:
        owner = table or name_of(argument(call, "source_table") or argument(call, "table_name", owner_at), known)
        name = words(argument(call, "constraint_name", 0), known) or "(unnamed)"
        return [_migration.constraint(op, owner, name)]

    return read


def _bulk_insert(call: ast.Call, known: Mapping[str, ast.expr], _table: str | None) -> list[Operation]:
    described = argument(call, "table", 0)
    if isinstance(described, ast.Name):
        described = known.get(described.id)
    name = name_of(described.args[0], known) if isinstance(described, ast.Call) and described.args else "a table"
    return [_migration.data(name)]


def _comment(_call: ast.Call, _known: Mapping[str, ast.expr], _table: str | None) -> list[Operation]:
    return []


_OPERATIONS: dict[str, _Operation] = {
    "create_table": _create_table,
    "drop_table": _drop_table,
    "rename_table": _rename_table,
    "add_column": _add_column,
    "drop_column": _drop_column,
    "alter_column": _alter_column,
    "create_index": _create_index,
    "drop_index": _drop_index,
    "create_unique_constraint": _constraint("add", 1),
    "create_check_constraint": _constraint("add", 1),
    "create_foreign_key": _constraint("add", 1),
    "create_primary_key": _constraint("add", 1),
    "create_exclude_constraint": _constraint("add", 1),
    "drop_constraint": _constraint("drop", 1),
    "bulk_insert": _bulk_insert,
    "create_table_comment": _comment,
    "drop_table_comment": _comment,
}
