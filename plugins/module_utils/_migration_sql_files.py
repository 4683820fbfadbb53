"""Migrations written in SQL: Flyway's, and numbered files of any tool, with their way back beside or below."""

from __future__ import annotations

import re
from collections.abc import Collection

from ansible_collections.incidentctl.response.plugins.module_utils import _migration, _migration_statements
from ansible_collections.incidentctl.response.plugins.module_utils._migration import Migration, Operation

_FLYWAY = re.compile(r"(?:^|/)(?P<kind>[VBUR])(?P<version>[0-9][0-9._]*)?__[^/]*\.sql$")
_NUMBERED = re.compile(r"(?:^|/)[^/]*[0-9][^/]*(?:\.sql$|/(?:up|down)\.sql$)")
_DOWN = re.compile(r"\.down\.sql$|(?:^|/)down\.sql$|\.(?:undo|rollback)\.sql$")
_MAYBE_DOWN = re.compile(r"[_-]down\.sql$")
_SECTION = re.compile(
    r"^[ \t]*--[ \t]*(?:migrate:|\+goose[ \t]+|\+migrate[ \t]+|/*@)(up|down|undo)\b.*$", re.IGNORECASE | re.MULTILINE
)


def is_one(name: str) -> bool:
    """Tell by its name whether a file is a migration in SQL."""
    return bool(_FLYWAY.search(name) or _NUMBERED.search(name))


def is_way_back(name: str, names: Collection[str]) -> bool:
    """Tell by its name, and those of all files beside it, whether a file is the way back of another migration."""
    flyway = _FLYWAY.search(name)
    if flyway:
        return flyway["kind"] == "U"
    # 0005_shut_down.sql goes forward, unless there is what it would take back.
    stem = _MAYBE_DOWN.sub("", name)
    forward = {f"{stem}{end}.sql" for end in ("", ".up", "_up", "-up")} if stem != name else set()
    return bool(_DOWN.search(name)) or not forward.isdisjoint(names)


def read(name: str, text: str, names: Collection[str]) -> Migration:
    """Given a migration's text, and the names of all files beside it, return what it does. Raise UnclearError."""
    flyway = _FLYWAY.search(name)
    up, has_down, down = (text, False, "") if flyway else _sections(text)  # Flyway runs all of it
    operations = _migration_statements.operations(up)
    if flyway:
        way_back, why = _flyway_way_back(flyway, names)
        framework = "Flyway"
    else:
        framework = "numbered SQL"
        way_back, why = (
            (True, "") if has_down or _down_of(name) & set(names) else (False, "there is no way back beside it")
        )
        if has_down and not down.strip() and operations:
            way_back, why = False, "its way back is empty"
    reversible, why = _migration.reversed_by(operations, way_back, why)
    if flyway and flyway["kind"] == "R":
        operations = tuple(_anew(one) for one in operations)
    return Migration(name, framework, operations, reversible, why)


def _anew(one: Operation) -> Operation:
    """A repeatable migration may have run before: what it adds may have been there, and been another."""
    return one._replace(is_new=False)


def _sections(text: str) -> tuple[str, bool, str]:
    """Cut a text at the comments that say where up and down begin; without any, all of it is up."""
    parts: dict[str, list[str]] = {"up": [], "down": []}
    at, section, seen = 0, "up", False
    for match in _SECTION.finditer(text):
        parts[section].append(text[at : match.start()])
        at, section = match.end(), "up" if match[1].lower() == "up" else "down"
        seen = seen or section == "down"
    parts[section].append(text[at:])
    return "\n".join(parts["up"]), seen, "\n".join(parts["down"])


def _flyway_way_back(flyway: re.Match[str], names: Collection[str]) -> tuple[bool | None, str]:
    if flyway["kind"] == "R":
        return None, "the older release does not run its own text of it again by itself"
    undone = {one["version"] for one in map(_FLYWAY.search, names) if one and one["kind"] == "U"}
    return (True, "") if flyway["version"] in undone else (False, f"there is no undo script U{flyway['version']}__")


def _down_of(name: str) -> set[str]:
    stem = re.sub(r"(?:[._-]up)?\.sql$", "", name)
    beside = {f"{stem}{end}.sql" for end in (".down", ".undo", ".rollback", "_down", "-down")}
    return beside | ({name[: -len("up.sql")] + "down.sql"} if name.endswith("/up.sql") else set())
