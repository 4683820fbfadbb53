"""Fields of Django's models: what adding one or altering one means for the table."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Callable, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import _migration, _migration_python
from ansible_collections.incidentctl.response.plugins.module_utils._migration import Operation, UnclearError
from ansible_collections.incidentctl.response.plugins.module_utils._migration_python import (
    argument,
    dotted,
    is_none,
    name_of,
    truth,
    words,
)

# What Django itself does with a value; the column is the same with or without them. `default` is no default of the table.
_NOT_OF_THE_COLUMN = frozenset(
    {
        "verbose_name", "help_text", "choices", "validators", "default", "blank", "editable", "error_messages",
        "limit_choices_to", "on_delete", "related_name", "related_query_name", "upload_to", "auto_now", "auto_now_add",
        "db_comment", "storage", "encoder", "decoder", "serialize", "parent_link",
    }
)  # fmt: skip
_MOST_STEPS = 2_000


class Before(NamedTuple):
    """Where a field of an earlier migration of the same application is found."""

    name: str
    tree: Callable[[str], ast.Module | None]
    names: frozenset[str]
    calls: Callable[[ast.Module], list[ast.Call]]

    def field(self, model: str, field: str) -> ast.expr | None:
        """Return the field as the migrations before this one leave it, None if that is not certain."""
        steps, waiting, seen, found = 0, self._parents(self.name), set[str](), []
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            steps += 1
            tree = self.tree(name)
            if tree is None or steps > _MOST_STEPS:
                return None
            try:
                definition = _defined(self.calls(tree), model, field)
            except UnclearError:
                return None
            if definition is None:
                waiting.extend(self._parents(name))
            else:
                found.append(definition)
        return found[0] if len(found) == 1 and not is_none(found[0]) else None

    def _parents(self, name: str) -> list[str]:
        """Return the files of the same application that a migration comes after."""
        tree = self.tree(name)
        if tree is None:
            return []
        folder, _slash, _file = name.rpartition("/")
        application = folder.split("/")[-2] if folder.count("/") else ""
        classes = [one for one in tree.body if isinstance(one, ast.ClassDef)]
        listed = _migration_python.constants(classes[-1].body).get("dependencies") if classes else None
        pairs = listed.elts if isinstance(listed, (ast.List, ast.Tuple)) else []
        found = []
        for pair in pairs:
            if isinstance(pair, ast.Tuple) and len(pair.elts) == 2:
                label, file = words(pair.elts[0], {}), words(pair.elts[1], {})
                path = f"{folder}/{file}.py" if folder else f"{file}.py"
                if path in self.names and application in ("", label):
                    found.append(path)
        return found


def add(call: ast.Call, known: Mapping[str, ast.expr]) -> list[Operation]:
    """Return what AddField does: Django takes its own default off the column again, so old code must be able to omit it."""
    model, name = name_of(argument(call, "model_name", 0), known), name_of(argument(call, "name", 1), known)
    field = argument(call, "field", 2)
    if not isinstance(field, ast.Call):
        raise UnclearError(f"the field {model}.{name} is made when it runs")
    kind = dotted(field.func)
    if kind == "models.ManyToManyField":
        return [_migration.table("add", f"of {model}.{name}", True)]
    empty = truth(argument(field, "null"), False)
    filled = argument(field, "db_default") is not None or kind == "models.GeneratedField"
    unique = (
        truth(argument(field, "unique"), False) is not False
        or truth(argument(field, "primary_key"), False) is not False
    )
    optional = True if filled or empty else None if empty is None or not kind.startswith("models.") else False
    one_of_each = unique or kind == "models.OneToOneField"
    # Any number of rows may leave a unique column empty; not so with a default.
    return [_migration.added_column(model, name, optional=optional, unique=one_of_each and filled)]


def alter(call: ast.Call, known: Mapping[str, ast.expr], before: Before) -> Operation:
    """Return what AlterField does, by the field as it was before."""
    model, name = name_of(argument(call, "model_name", 0), known), name_of(argument(call, "name", 1), known)
    field, old = argument(call, "field", 2), before.field(model, name)
    if not isinstance(field, ast.Call) or not isinstance(old, ast.Call):
        return _migration.column("change", model, name, None, "how it was before is not known")
    now, then = _of_the_column(field), _of_the_column(old)
    differing = {key for key in now.keys() | then.keys() if now.get(key) != then.get(key)}
    if not differing or (differing == {"db_default"} and "db_default" in now):
        return _migration.column("change", model, name, True)
    if differing == {"db_index"}:
        return _migration.index("change", model, f"on {name}")
    if differing == {"null"} and truth(argument(field, "null"), False):
        return _migration.column("change", model, name, None, "it may be empty, which the old release may not expect")
    why = "must be filled" if differing == {"null"} else ", ".join(sorted(differing))
    return _migration.column("change", model, name, False, why)


def _of_the_column(field: ast.Call) -> dict[str, str]:
    """What of a field bears on its column: its class, and its options but for those that Django keeps to itself."""
    parts = {"type": dotted(field.func) or ast.dump(field.func)}
    takes_a_name_first = parts["type"] not in ("models.ForeignKey", "models.OneToOneField", "models.ManyToManyField")
    for place, one in enumerate(field.args):
        if not (place == 0 and takes_a_name_first):
            parts[f"argument {place + 1}"] = ast.dump(one)
    for keyword in field.keywords:
        if keyword.arg is None:
            raise UnclearError("its options are put together when it runs")
        if keyword.arg not in _NOT_OF_THE_COLUMN:
            value = "" if keyword.arg != "to" else (words(keyword.value, {}) or "").lower()
            parts[keyword.arg] = value or ast.dump(keyword.value)
    if parts.get("null") == ast.dump(ast.Constant(value=False)):
        del parts["null"]
    return parts


def _defined(calls: list[ast.Call], model: str, field: str) -> ast.expr | None:
    """Return the field as some operations leave it; None if they do not say; the literal None if it cannot be told."""
    found: ast.expr | None = None
    uncertain = ast.Constant(value=None)
    for call in calls:
        kind = dotted(call.func).split(".")[-1]
        if kind in ("AddField", "AlterField") and _is(call, "model_name", 0, model) and _is(call, "name", 1, field):
            found = argument(call, "field", 2)
        elif kind == "CreateModel" and _is(call, "name", 0, model):
            found = _of_new_model(argument(call, "fields", 1), field) or uncertain
        elif kind in ("RenameModel", "RenameField", "SeparateDatabaseAndState", "AlterModelTable"):
            found = found if found is not None else (uncertain if _speaks_of(call, model, field) else None)
    return found


def _is(call: ast.Call, name: str, place: int, value: str) -> bool:
    return (words(argument(call, name, place), {}) or "").lower() == value.lower()


def _of_new_model(node: ast.expr | None, field: str) -> ast.expr | None:
    for pair in node.elts if isinstance(node, (ast.List, ast.Tuple)) else []:
        if isinstance(pair, ast.Tuple) and len(pair.elts) == 2 and words(pair.elts[0], {}) == field:
            return pair.elts[1]
    return None


def _speaks_of(call: ast.Call, model: str, field: str) -> bool:
    said = {one.value.lower() for one in ast.walk(call) if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    return bool({model.lower(), field.lower()} & said)
