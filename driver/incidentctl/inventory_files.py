"""The files of an inventory, read without Ansible: where something stands in them, and what in them is no YAML.

Ansible says neither: it stops at the first error, often without the file's name, and passes over a key that is there twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from incidentctl import _yaml_lines

_YAML = ("", ".yml", ".yaml", ".json")  # as Ansible takes group_vars; an inventory itself may be of another form
_MOST, _LARGEST = 500, 1_000_000  # files, and bytes of one
_CATALOGUE = "incident_services"
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*")
_ENTRY = re.compile(r"entry ([0-9]+)")


@dataclass(frozen=True)
class Entry:
    """One service as a file describes it: name and hosts, "" where it has none; its number in the list; and where that is."""

    name: str
    hosts: str
    number: int
    file: Path
    node: yaml.Node


def wrong(sources: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return what Ansible cannot read in these inventories, and which keys are there twice, each with file and line."""
    broken: list[str] = []
    twice: list[str] = []
    for file, document in _documents(sources):
        for problem in document.problems:
            path = f"{problem.path}: " if problem.path else ""
            kept = broken if document.root is None else twice if problem.twice else None
            if kept is not None:
                kept.append(f"{file}:{problem.line}: {path}{problem.what}")
    return broken, twice


def entries(sources: Iterable[str]) -> list[Entry]:
    """Return the services of the catalogue as these inventories describe them, in the order in which they stand there."""
    return [entry for file, document in _documents(sources) for entry in _entries(file, document.root)]


def placed(problems: Iterable[str], sources: Iterable[str]) -> list[str]:
    """Return problems of the catalogue (`SERVICE: what`, or `entry N: what`) behind file and line, as far as these are found."""
    there = entries(sources)
    found = [(*_place(problem, there), problem) for problem in dict.fromkeys(problems)]
    return [
        f"{file}:{line}: {problem}" if file else f"- {problem}"
        for file, line, problem in sorted(found, key=lambda one: one[:2])
    ]


def _place(problem: str, there: Iterable[Entry]) -> tuple[str, int]:
    label, _colon, what = problem.partition(": ")
    number = _ENTRY.match(label)
    mine = [one for one in there if one.name == label or (number and one.number == int(number[1]) and not one.name)]
    paths = _PATH.findall(what.removeprefix("unknown key "))
    # Of two of one name the second is too many; else it is the one that has what is spoken of.
    for one in mine if what != "is there twice" else ():
        if lines := [line for path in paths if (line := _line(one.node, path))]:
            return str(one.file), lines[0]
    return (str(mine[-1].file), mine[-1].node.start_mark.line + 1) if mine else ("", 0)


def _documents(sources: Iterable[str]) -> Iterator[tuple[Path, _yaml_lines.Document]]:
    for file in list(_files(sources))[:_MOST]:
        try:
            text = file.read_text(encoding="utf-8-sig") if file.stat().st_size < _LARGEST else ""
        except UnicodeDecodeError as error:
            yield file, _yaml_lines.Document(None, None, (_yaml_lines.not_utf8(error),))
        except OSError as error:
            said = f"cannot be read: {error.strerror}"
            yield file, _yaml_lines.Document(None, None, (_yaml_lines.Problem(1, "", said, ""),))
        else:
            if not text.startswith("$ANSIBLE_VAULT"):
                yield file, _yaml_lines.nodes(text)


def _files(sources: Iterable[str]) -> Iterator[Path]:
    for source in map(Path, sources):
        folder = source if source.is_dir() else source.parent
        named = sorted(source.glob("*.y*ml")) if source.is_dir() else [source] if source.suffix in _YAML[1:] else []
        beside = [path for name in ("group_vars", "host_vars") for path in sorted((folder / name).rglob("*"))]
        kept = (path for path in beside if path.suffix in _YAML and not path.name.startswith("."))
        yield from (path for path in (*named, *kept) if path.is_file())


def _entries(file: Path, node: yaml.Node | None) -> Iterator[Entry]:
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if getattr(key, "value", None) == _CATALOGUE and isinstance(value, yaml.SequenceNode):
            for number, one in enumerate(value.value, 1):
                yield Entry(_named(one, "name"), _named(one, "hosts"), number, file, one)
        else:
            yield from _entries(file, value)


def _named(node: yaml.Node, key: str) -> str:
    """Return the text of a key; "" where there is none."""
    found = _child(node, key)
    return str(found[1].value) if found and isinstance(found[1], yaml.ScalarNode) else ""


def _line(node: yaml.Node, path: str) -> int | None:
    """Return the line of the key that a path names, or of what is nearest to it; None where its first part is not there."""
    line = None
    for part in path.split("."):
        inner = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found = next((child for one in inner if (child := _child(one, part))), None)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def _child(node: yaml.Node, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next(((name, value) for name, value in pairs if getattr(name, "value", None) == key), None)
