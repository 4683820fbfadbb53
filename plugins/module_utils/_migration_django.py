"""Django's migrations: the list `operations`, by its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Callable, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _migration,
    _migration_django_fields,
    _migration_python,
    _migration_statements,
)
from ansible_collections.incidentctl.response.plugins.module_utils._migration import Migration, Operation, UnclearError
from ansible_collections.incidentctl.response.plugins.module_utils._migration_django_fields import Before
from ansible_collections.incidentctl.response.plugins.module_utils._migration_python import (
    argument,
    dotted,
    name_of,
    truth,
    words,
)

_BASES = ("migrations.Migration", "Migration", "django.db.migrations.Migration")
_ATTRIBUTES = frozenset({"operations", "dependencies", "run_before", "replaces", "initial", "atomic"})
# To set one of these is to change what the migration does beside its operations.
_OVERRIDES = frozenset({"apply", "unapply", "mutate_state", "__init__", "__getattribute__"})


class _Found(NamedTuple):
    operations: list[Operation]
    way_back: bool | None
    why: str = ""


def is_one(tree: ast.Module) -> bool:
    """Tell whether a file is a migration of Django: it has a class `Migration`."""
    return _class(tree) is not None


def read(name: str, tree: ast.Module, before: Before) -> Migration:
    """Given the tree of a migration, and how to find the fields from before it, return what it does."""
    migration = _class(tree)
    known = _migration_python.constants(tree.body)
    found = [_Found([_migration.unknown("its class is not a plain one")], None)]
    attributes: dict[str, ast.expr] = {}
    if migration is not None and _is_plain(migration):
        attributes = _migration_python.constants(migration.body)
        found = list(_listed(attributes.get("operations"), known, before))
    operations = tuple(one for part in found for one in part.operations)
    refusal = next((part for part in found if part.way_back is False), None)
    unclear = next((part for part in found if part.way_back is None), None)
    worst = refusal or unclear or _Found([], True)
    reversible, why = _migration.reversed_by(operations, worst.way_back, worst.why)
    return Migration(name, "Django", operations, reversible, why, replaces=_replaced(attributes.get("replaces")))


def meaning(tree: ast.Module) -> str:
    """Return what a migration says to Django; attributes that only other programs read make no difference."""
    migration = _class(tree)
    if migration is not None and _is_plain(migration):
        migration.body = [
            one for one in migration.body
            if not _migration_python.is_silent(one) and _migration_python.constants([one]).keys() & _ATTRIBUTES
        ]  # fmt: skip
    return _migration_python.meaning(tree)


def operation_calls(tree: ast.Module) -> list[ast.Call]:
    """Return the operations of a migration. Raise UnclearError if they are not a plain list."""
    migration = _class(tree)
    listed = _migration_python.constants(migration.body).get("operations") if migration is not None else None
    if not isinstance(listed, ast.List) or not all(isinstance(one, ast.Call) for one in listed.elts):
        raise UnclearError("its operations are put together when it runs")
    return [one for one in listed.elts if isinstance(one, ast.Call)]


def _class(tree: ast.Module) -> ast.ClassDef | None:
    found = [one for one in tree.body if isinstance(one, ast.ClassDef) and one.name == "Migration"]
    return found[0] if len(found) == 1 else None


def _is_plain(migration: ast.ClassDef) -> bool:
    assigned = [one for one in migration.body if isinstance(one, (ast.Assign, ast.AnnAssign))]
    names = {
        target.id for one in assigned for target in (one.targets if isinstance(one, ast.Assign) else [one.target])
        if isinstance(target, ast.Name)
    }  # fmt: skip
    others = [one for one in migration.body if one not in assigned and not _migration_python.is_silent(one)]
    plain = len(migration.bases) == 1 and dotted(migration.bases[0]) in _BASES and not migration.decorator_list
    return plain and not others and not names & _OVERRIDES


def _replaced(node: ast.expr | None) -> tuple[str, ...]:
    pairs = node.elts if isinstance(node, (ast.List, ast.Tuple)) else []
    return tuple(words(pair.elts[1], {}) or "" for pair in pairs if isinstance(pair, ast.Tuple) and len(pair.elts) == 2)


def _listed(node: ast.expr | None, known: Mapping[str, ast.expr], before: Before) -> Iterator[_Found]:
    if node is None:
        return
    if not isinstance(node, (ast.List, ast.Tuple)):
        yield _Found([_migration.unknown("its operations are put together when it runs")], None)
        return
    for one in node.elts:
        try:
            yield _one(one, known, before)
        except UnclearError as error:
            yield _Found([_migration.unknown(f"line {one.lineno}", str(error))], None)


def _one(node: ast.expr, known: Mapping[str, ast.expr], before: Before) -> _Found:
    name = dotted(node.func) if isinstance(node, ast.Call) else ""
    kind = name.split(".")[-1]
    if not isinstance(node, ast.Call) or not name:
        raise UnclearError("an operation that is made when it runs")
    if kind == "RunSQL":
        return _run_sql(node, known)
    if kind == "RunPython":
        return _run_python(node)
    if kind == "SeparateDatabaseAndState":
        parts = list(_listed(argument(node, "database_operations", 0), known, before))
        worst = next((part for part in parts if part.way_back is not True), _Found([], True))
        return _Found([one for part in parts for one in part.operations], worst.way_back, worst.why)
    if kind == "AlterField":
        return _Found([_migration_django_fields.alter(node, known, before)], True)
    if kind in _OPERATIONS:
        return _Found(_OPERATIONS[kind](node, known), True)
    if kind.endswith("Extension"):
        return _Found(
            [Operation("add", f"extension {kind[:-9] or name_of(argument(node, 'name', 0), known)}", True)], True
        )
    raise UnclearError(f"{kind} is not known here")


def _run_sql(call: ast.Call, known: Mapping[str, ast.expr]) -> _Found:
    back = argument(call, "reverse_sql", 1)
    texts = _sql_texts(argument(call, "sql", 0), known)
    operations = [one for text in texts for one in _migration_statements.operations(text)]
    return _Found(operations, *_way_back(back, "RunSQL", "reverse_sql", bool(operations)))


def _sql_texts(node: ast.expr | None, known: Mapping[str, ast.expr]) -> list[str]:
    if dotted(node).endswith("RunSQL.noop"):
        return []
    if isinstance(node, (ast.List, ast.Tuple)):
        # Each is a text, or a text with its parameters.
        firsts = [one.elts[0] if isinstance(one, ast.Tuple) and one.elts else one for one in node.elts]
        return [text for one in firsts for text in _sql_texts(one, known)]
    text = words(node, known)
    if text is None:
        raise UnclearError("RunSQL whose SQL is put together when it runs")
    return [text]


def _run_python(call: ast.Call) -> _Found:
    code, back = argument(call, "code", 0), argument(call, "reverse_code", 1)
    if dotted(code).endswith("RunPython.noop"):
        return _Found([], *_way_back(back, "RunPython", "reverse_code", False))
    told = Operation(
        "data", f"what RunPython {dotted(code) or 'calls'} touches", None, why="what it does is known only when it runs"
    )
    return _Found([told], *_way_back(back, "RunPython", "reverse_code", True))


def _way_back(back: ast.expr | None, kind: str, argument_name: str, acts: bool) -> tuple[bool, str]:
    if back is None or _migration_python.is_none(back):
        return False, f"{kind} without {argument_name}"
    if acts and dotted(back).endswith(f"{kind}.noop"):
        return False, f"the {argument_name} of {kind} does nothing"
    return True, ""


_Known = Mapping[str, ast.expr]


def _model(call: ast.Call, known: _Known) -> str:
    return name_of(argument(call, "model_name", 0), known)


def _create_model(call: ast.Call, known: _Known) -> list[Operation]:
    name = name_of(argument(call, "name", 0), known)
    options = argument(call, "options", 2)
    if options is not None and not isinstance(options, ast.Dict):
        raise UnclearError(f"the options of {name} are made when it runs")
    if isinstance(options, ast.Dict):
        said = {words(one, {}): value for one, value in zip(options.keys, options.values)}
        if truth(said.get("proxy"), False) is not False or truth(said.get("managed"), True) is not True:
            return []
    return [_migration.table("add", name, True, is_new=True)]


def _delete_model(call: ast.Call, known: _Known) -> list[Operation]:
    return [_migration.table("drop", name_of(argument(call, "name", 0), known), False)]


def _rename_model(call: ast.Call, known: _Known) -> list[Operation]:
    old = name_of(argument(call, "old_name", 0), known)
    return [_migration.renamed("table", old, old, name_of(argument(call, "new_name", 1), known))]


def _alter_table(call: ast.Call, known: _Known) -> list[Operation]:
    name = name_of(argument(call, "name", 0), known)
    return [_migration.renamed("table", name, name, name_of(argument(call, "table", 1), known))]


def _remove_field(call: ast.Call, known: _Known) -> list[Operation]:
    return [_migration.column("drop", _model(call, known), name_of(argument(call, "name", 1), known), False)]


def _rename_field(call: ast.Call, known: _Known) -> list[Operation]:
    model, old = _model(call, known), name_of(argument(call, "old_name", 1), known)
    return [_migration.renamed("column", model, f"{model}.{old}", name_of(argument(call, "new_name", 2), known))]


def _together(call: ast.Call, known: _Known) -> list[Operation]:
    name, value = name_of(argument(call, "name", 0), known), argument(call, "unique_together", 1)
    if isinstance(value, ast.Call):
        empty = dotted(value.func) == "set" and not value.args
    else:
        empty = value is None or not getattr(value, "elts", True) or _migration_python.is_none(value)
    return [_migration.constraint("drop" if empty else "add", name, "unique_together")]


def _index(op: str) -> Callable[[ast.Call, _Known], list[Operation]]:
    def read(call: ast.Call, known: _Known) -> list[Operation]:
        return [_migration.index(op, _model(call, known), _inner_name(call, known))]

    return read


def _constraint(op: str) -> Callable[[ast.Call, _Known], list[Operation]]:
    def read(call: ast.Call, known: _Known) -> list[Operation]:
        return [_migration.constraint(op, _model(call, known), _inner_name(call, known))]

    return read


def _inner_name(call: ast.Call, known: _Known) -> str:
    """An index or a constraint is given by its name, or as an object that has one."""
    inner = argument(call, "index", 1) or argument(call, "constraint", 1)
    given = argument(call, "name", 1) or argument(call, "new_name", 1)
    if isinstance(inner, ast.Call):
        return name_of(argument(inner, "name"), known)
    return name_of(given, known)


def _index_together(call: ast.Call, known: _Known) -> list[Operation]:
    return [_migration.index("change", name_of(argument(call, "name", 0), known), "index_together")]


def _order(call: ast.Call, known: _Known) -> list[Operation]:
    owner = name_of(argument(call, "name", 0), known)
    return [_migration.added_column(owner, "_order", optional=None)]


def _state_only(_call: ast.Call, _known: _Known) -> list[Operation]:
    return []


_OPERATIONS: dict[str, Callable[[ast.Call, _Known], list[Operation]]] = {
    "CreateModel": _create_model,
    "DeleteModel": _delete_model,
    "RenameModel": _rename_model,
    "AlterModelTable": _alter_table,
    "AddField": _migration_django_fields.add,
    "RemoveField": _remove_field,
    "RenameField": _rename_field,
    "AlterUniqueTogether": _together,
    "AddIndex": _index("add"),
    "AddIndexConcurrently": _index("add"),
    "RemoveIndex": _index("drop"),
    "RemoveIndexConcurrently": _index("drop"),
    "RenameIndex": _index("change"),
    "AddConstraint": _constraint("add"),
    "AddConstraintNotValid": _constraint("add"),
    "RemoveConstraint": _constraint("drop"),
    "AlterOrderWithRespectTo": _order,
    "AlterModelOptions": _state_only,
    "AlterModelManagers": _state_only,
    "AlterModelTableComment": _state_only,
    "AlterIndexTogether": _index_together,
    "ValidateConstraint": _state_only,
}


def fields_before(name: str, parents: Callable[[str], ast.Module | None], names: Sequence[str]) -> Before:
    """Return how to find a field as it was before the migration `name`, by what its dependencies say, file by file."""
    return _migration_django_fields.Before(name, parents, frozenset(names), operation_calls)
