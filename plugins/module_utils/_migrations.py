"""What lies between the migrations of two releases: is the schema another one, and can the older release run on it?

Both folders are read as text; nothing of them is ever run. What is not understood is `unknown`, never `none`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _migration_alembic,
    _migration_django,
    _migration_files,
    _migration_python,
    _migration_rails,
    _migration_sql_files,
)
from ansible_collections.incidentctl.response.plugins.module_utils._migration import Migration, Operation, UnclearError
from ansible_collections.incidentctl.response.plugins.module_utils._migration_files import Folder
from ansible_collections.incidentctl.response.plugins.module_utils._natural import natural
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

MOST_READ = 500  # migrations that are looked into; between two releases are seldom ten
SHOWN = 50
TEXT_CHARS = 200
_REVISION = re.compile(r"^revision(?: ?: ?[\w\[\]., |]{1,80})? {0,80}=\s*[\"']([^\"'\n]+)[\"']", re.MULTILINE)


class Between(NamedTuple):
    """The verdict, and what it was made from.

    `state`: none, compatible (the older release can run on the schema), breaking (it may not), unknown (ask).
    `names`: what the newer release has and the older has not, or has with another content; None if that is unknown.
    """

    state: str
    reversible: bool | None
    reason: str
    names: list[str] | None = None
    migrations: tuple[Migration, ...] = ()
    problems: tuple[str, ...] = ()


def between(newer: Path, older: Path) -> Between:
    """Given the folders of migrations of two releases, return what lies between them. Raises nothing for what they hold."""
    try:
        if newer.resolve() == older.resolve():
            return Between("unknown", None, f"both releases share the folder {newer.resolve()}")
        ahead, behind = _migration_files.read((newer, older))
    except (OSError, RuntimeError) as error:
        return Between("unknown", None, str(error))
    differing = [name for name, digest in ahead.digests.items() if behind.digests.get(name) != digest]
    removed = [name for name in behind.digests if name not in ahead.digests]
    differing, removed = _without_renamed(ahead, behind, sorted(differing, key=natural), removed)
    problems = [f"{name}: {why}" for folder in (ahead, behind) for name, why in folder.unread.items()]
    if not (differing or removed or problems):
        return Between("none", True, "", [])
    reader = _Reader(ahead, behind)
    found = [one for name in differing[:MOST_READ] for one in reader.read(name)]
    if len(differing) > MOST_READ:
        problems.append(f"{len(differing)} migrations differ, of which {MOST_READ} were read")
    found, more = _ordered(found, reader)
    problems += [*reader.problems, *more, *_removed(removed, found)]
    return _verdict(found, problems, [name for name in differing if name not in reader.beside])


def undeclared(reason: str) -> dict[str, Any]:
    """Return the facts of a schema of which nothing can be known, for the reason given."""
    return facts(Between("unknown", None, reason))


def facts(found: Between) -> dict[str, Any]:
    """Return a verdict as facts: `migrations`, their names, `migrations_reason`, why those are unknown, and `schema`."""
    texts = _texts(found)
    more = [f"and {len(texts) - SHOWN} more"] if len(texts) > SHOWN else []
    schema = {
        "state": found.state,
        "reversible": found.reversible,
        "reason": clean(found.reason, 2 * TEXT_CHARS),
        "operations": [*texts[:SHOWN], *more],
    }
    unknown = f"unknown: {schema['reason']}" if found.names is None else None
    names = None if found.names is None else [clean(name, TEXT_CHARS) for name in found.names[:MOST_READ]]
    return {"migrations": names, "migrations_reason": unknown, "schema": schema}


def _texts(found: Between) -> list[str]:
    # What breaks first: of many operations only so many are shown.
    operations = [one for migration in found.migrations for one in migration.operations]
    order = {False: 0, None: 1, True: 2}
    return [clean(str(one), TEXT_CHARS) for one in sorted(operations, key=lambda one: order[one.harmless])]


def _verdict(found: list[Migration], problems: list[str], names: list[str]) -> Between:
    found = _harmless_to_new_tables(found)
    pairs = [(migration, one) for migration in found for one in migration.operations]
    breaking = [f"{one} in {migration.name}" for migration, one in pairs if one.harmless is False]
    asked = [*problems, *(f"{one} in {migration.name}" for migration, one in pairs if one.harmless is None)]
    refused = [f"{one.name}: {one.why}" for one in found if one.reversible is False]
    unclear = problems or [one for one in found if one.reversible is None]
    reversible = False if refused else None if unclear else True
    state = "breaking" if breaking else "unknown" if asked else "compatible"
    told = (breaking or asked or ["the older release can run on it"])[:3]
    more = f"; and {len(breaking or asked) - 3} more" if len(breaking or asked) > 3 else ""
    return Between(state, reversible, "; ".join(told) + more, names, tuple(found), tuple(problems))


def _harmless_to_new_tables(found: list[Migration]) -> list[Migration]:
    """What is done to a table that came in between harms no release from before it, for that does not know the table."""
    made: set[tuple[str, str]] = set()
    seen: set[tuple[str, str]] = set()
    result = []
    for migration in found:
        operations = []
        for one in migration.operations:
            place = _table(migration, one)
            if one.is_new and one.table and place not in seen:
                made.add(place)
            seen.add(place)
            safe = place in made and not one.is_new and not one.what.startswith("table ")
            operations.append(one._replace(harmless=True, why="", loses=False) if safe else one)
        result.append(migration._replace(operations=tuple(operations)))
    return result


def _table(migration: Migration, one: Operation) -> tuple[str, str]:
    # Two applications of a Django project may each have a model of the same name.
    folder = migration.name.rpartition("/")[0] if migration.framework == "Django" else migration.framework
    return folder, one.table


class _Reader:
    """Reads what differs, migration by migration, and keeps what could not be read."""

    def __init__(self, ahead: Folder, behind: Folder) -> None:
        self.ahead, self.behind = ahead, behind
        self.problems: list[str] = []
        self.beside: set[str] = set()  # what does nothing on the way forward: ways back, files laid out anew
        self._trees: dict[str, ast.Module | None] = {}

    def read(self, name: str) -> list[Migration]:
        """Return the migration that a file of the newer release is; none if it is nothing that is run forward."""
        try:
            found = self._understood(name)
            if not found:
                self.beside.add(name)
            is_repeatable = name.rpartition("/")[2].startswith("R__")
            if name in self.behind.digests and not is_repeatable and found:
                if self._is_the_same(name):
                    self.beside.add(name)
                    return []
                self.problems.append(f"{name}: another content than before: which one the database has is not known")
                return []
        except UnclearError as error:
            self.problems.append(f"{name}: {error}")
            return []
        return found

    def _understood(self, name: str) -> list[Migration]:
        if name.endswith(".py"):
            return self._python(name)
        if name.endswith(".rb"):
            text = self.ahead.text(name)
            if not _migration_rails.is_one(text):
                raise UnclearError("it is no migration that is known here")
            return [_migration_rails.read(name, text)]
        if not _migration_sql_files.is_one(name):
            raise UnclearError("it is no migration that is known here")
        if _migration_sql_files.is_way_back(name, self.ahead.digests):
            return []
        return [_migration_sql_files.read(name, self.ahead.text(name), self.ahead.digests)]

    def _python(self, name: str) -> list[Migration]:
        tree = _migration_python.parse(self.ahead.text(name))
        if name.rpartition("/")[2] == "__init__.py" and all(map(_migration_python.is_silent, tree.body)):
            return []
        if _migration_alembic.is_one(tree):
            return [_migration_alembic.read(name, tree)]
        if _migration_django.is_one(tree):
            before = _migration_django.fields_before(name, self.tree, list(self.ahead.digests))
            return [self._squashed(_migration_django.read(name, tree, before))]
        raise UnclearError("it is no migration that is known here")

    def _squashed(self, migration: Migration) -> Migration:
        """A squashed migration does nothing where all that it stands for was run before."""
        replaced = _replaced(migration)
        if not replaced or not replaced & self.behind.digests.keys():
            return migration
        if not replaced <= self.behind.digests.keys():
            self.problems.append(
                f"{migration.name}: the older release has only some of the migrations that it replaces"
            )
        return migration._replace(operations=(), reversible=True, why="")

    def tree(self, name: str) -> ast.Module | None:
        """Return the tree of a file of the newer release, None if it has none."""
        if name not in self._trees:
            try:
                self._trees[name] = _migration_python.parse(self.ahead.text(name))
            except UnclearError:
                self._trees[name] = None
        return self._trees[name]

    def _is_the_same(self, name: str) -> bool:
        """Tell whether a file that was written anew still says the same."""
        if not name.endswith(".py"):
            return False
        one, other = (_migration_python.parse(folder.text(name)) for folder in (self.ahead, self.behind))
        return _migration_django.meaning(one) == _migration_django.meaning(other)


def _ordered(found: list[Migration], reader: _Reader) -> tuple[list[Migration], list[str]]:
    """Put Alembic's migrations into the order of their graph, and say what is wrong with it."""
    graph = {one.revision: one for one in found if one.framework == "Alembic"}
    if not graph:
        return found, []
    there = {_revision(reader.behind, name) for name in reader.behind.digests}
    renamed = [one for one in graph.values() if one.revision in there]
    problems = [
        f"{one.name}: it comes after {parent}, which is in neither release"
        for one in graph.values() for parent in one.parents if parent not in graph and parent not in there
    ]  # fmt: skip
    problems += [f"{one.name}: the older release has this revision with another content" for one in renamed]
    heads = set(graph) - {parent for one in graph.values() for parent in one.parents}
    if len(heads) > 1:
        problems.append(f"they branch, and end in {len(heads)} heads: which of them the database has is not known")
    ranks: dict[str, int] = {}
    for _round in range(len(graph)):
        for one in graph.values():
            ranks[one.revision] = 1 + max((ranks.get(parent, 0) for parent in one.parents), default=0)
    return sorted(found, key=lambda one: (ranks.get(one.revision, 0), one.name)), problems


def _without_renamed(
    ahead: Folder, behind: Folder, differing: list[str], removed: list[str]
) -> tuple[list[str], list[str]]:
    """Alembic knows a migration by its revision, whatever its file is called."""
    old = {behind.digests[name]: name for name in removed if name.endswith(".py")}
    renamed = {
        name: old[ahead.digests[name]] for name in differing
        if name not in behind.digests and ahead.digests[name] in old and _revision(ahead, name)
    }  # fmt: skip
    gone = set(renamed.values())
    return [name for name in differing if name not in renamed], [name for name in removed if name not in gone]


def _revision(folder: Folder, name: str) -> str:
    try:
        match = _REVISION.search(folder.text(name)) if name.endswith(".py") else None
    except UnclearError:
        return ""  # what cannot be read is told where it differs
    return match[1] if match else ""


def _removed(removed: list[str], found: list[Migration]) -> list[str]:
    """Say what the older release has and the newer has not, but for what a squashed migration stands for."""
    stood_for = {name for one in found for name in _replaced(one)}
    return [f"{name}: the older release has it, the newer has not" for name in removed if name not in stood_for]


def _replaced(one: Migration) -> set[str]:
    return {f"{one.name.rpartition('/')[0]}/{name}.py".lstrip("/") for name in one.replaces}


def words(told: Mapping[str, Any]) -> str:
    """Given the facts of a verdict, return what a summary says of the schema."""
    schema, names = told["schema"], told["migrations"]
    if schema["state"] == "none":
        return "schema: no migrations between"
    if names is None:
        return f"schema: unknown, ask: {schema['reason']}"
    count = f"schema: {len(names)} migration{'s' * (len(names) != 1)} between"
    does = ", ".join(schema["operations"][:3]) + (", …" if len(schema["operations"]) > 3 else "")
    if schema["state"] == "compatible":
        return f"{count}: {does or 'nothing in the database'} (the old release can run on it)"
    verdict = "the old release may not run on it" if schema["state"] == "breaking" else "unknown, ask"
    return f"{count}: {verdict}: {schema['reason']}"
