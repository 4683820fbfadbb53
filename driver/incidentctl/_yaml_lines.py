"""A YAML file as plain data, together with the line on which each of its keys stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

SIZE_LIMIT = 1_000_000  # bytes; a configuration is a few kilobytes, and YAML is slow

_TEXT_KEYS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: the line, the path to the key (may be empty), what, and how to fix it."""

    line: int
    path: str
    what: str
    fix: str
    twice: bool = False  # the key


@dataclass(frozen=True)
class Document:
    """What a YAML file holds: its data, its node tree, and what is wrong with its keys: twice there, or no text."""

    data: Any
    root: yaml.Node | None
    problems: tuple[Problem, ...] = ()

    def line(self, path: Sequence[str | int]) -> int:
        """Return the line of the key at this path, or of the nearest key above it that is there."""
        node, line = self.root, 1
        for part in path:
            found = _child(node, part)
            if found is None:
                break
            key, node = found
            line = int(key.start_mark.line) + 1
        return line


def parse(text: str) -> Document:
    """Given the text of a file, return what is in it; a text that is no YAML gives data None and one problem."""
    return _read(text, lambda loader, root: loader.construct_document(root))


def nodes(text: str) -> Document:
    """Return the same without data: of tags that only Ansible knows none can be made."""
    return _read(text, lambda _loader, _root: None)


def _read(text: str, made: Callable[[Any, yaml.Node], Any]) -> Document:
    if len(text) > SIZE_LIMIT:
        return Document(None, None, (Problem(1, "", "the file is larger than 1 MB", "is this the right file?"),))
    loader: Any = None
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        # Before the data is made: making it resolves `<<` within the nodes.
        problems = tuple(_key_problems(root))
        return Document(None if root is None else made(loader, root), root, problems)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(word for word in (error.context, error.problem) if word)
        return Document(None, None, (_broken(0 if mark is None else mark.line, what),))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) if isinstance(error.position, int) else 0
        return Document(None, None, (_broken(line, f"character #x{error.character:04x} is not allowed"),))
    except RecursionError:
        return Document(None, None, (_broken(0, "it is nested too deeply"),))
    except Exception as error:  # PyYAML raises whatever int(), datetime() and its own lookups raise
        line = 0 if loader is None else loader.line
        return Document(None, None, (_broken(line, f"a value cannot be read: {error}"),))
    finally:
        if loader is not None:
            loader.dispose()


def not_utf8(error: UnicodeDecodeError) -> Problem:
    """Return where a file is not in the only encoding that YAML is read in here."""
    line = error.object.count(b"\n", 0, error.start) + 1
    return Problem(line, "", f"is not UTF-8: byte 0x{error.object[error.start]:02x}", "save the file as UTF-8")


def _broken(line: int, what: str) -> Problem:
    return Problem(line + 1, "", f"this is not YAML: {what}", "correct the line, or quote the value")


def _key_problems(root: yaml.Node | None) -> Iterator[Problem]:
    seen: set[int] = set()
    waiting: list[tuple[yaml.Node | None, str]] = [(root, "")]
    while waiting:
        node, path = waiting.pop()
        if node is None or id(node) in seen:  # an alias may lead back to where it came from
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            first: dict[tuple[str, str], int] = {}
            for key, value in node.value:
                name = key.value if isinstance(key, yaml.ScalarNode) else "?"
                below, line = f"{path}.{name}".lstrip("."), key.start_mark.line + 1
                waiting.append((value, below))
                if isinstance(key, yaml.ScalarNode) and key.tag not in _TEXT_KEYS:
                    yield Problem(line, below, f"the key {name} is not text to YAML", "put it in quotes")
                earlier = first.get((key.tag, str(key.value)))
                if earlier is not None and name != "<<":
                    what = f"is there twice (first in line {earlier})"
                    yield Problem(line, below, what, "keep one of the two", twice=True)
                first.setdefault((key.tag, str(key.value)), line)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend((item, f"{path}.{index}") for index, item in enumerate(node.value))


def _child(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        # The last one counts: what `<<` brought in stands before the mapping's own keys.
        return next(((k, v) for k, v in reversed(node.value) if str(k.value) == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None
