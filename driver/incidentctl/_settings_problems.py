"""What is wrong with incidentctl.yml, said so that a person can correct it: all at once, line by line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from incidentctl._yaml_lines import Document, Problem
from incidentctl.cause_rules import KINDS
from incidentctl.errors import ConfigurationError

SHOWN = 50  # more than these help nobody

_Location = tuple[str | int, ...]
# pydantic's type of error → what the value must be.
_MUST_BE = {
    "bool_type": "true or false",
    "dict_type": "a mapping of keys",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_type": "a whole number",
    "model_type": "a mapping of keys",
    "path_type": "a path",
    "string_type": "text",
    "tuple_type": "a list",
}


def as_error(file: Path, problems: Iterable[Problem]) -> ConfigurationError:
    """Given a file and its problems, return the one error that tells them all, in the order of the lines."""
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: (problem.line, problem.path))
    lines = []
    for problem in ordered[:SHOWN]:
        path = f"{problem.path}: " if problem.path else ""
        lines += [_plain(f"{file}:{problem.line}: {path}{problem.what}"), _plain(f"  Fix: {problem.fix}")]
    if len(ordered) > SHOWN:
        lines.append(f"… and {len(ordered) - SHOWN} more")
    count = "1 error" if len(ordered) == 1 else f"{len(ordered)} errors"
    return ConfigurationError(_plain(f"{file} cannot be used: {count}"), "\n".join(lines))


def of_pydantic(document: Document, error: ValidationError, settings: type[BaseModel]) -> Iterator[Problem]:
    """Given what pydantic found, yield it as problems."""
    for details in error.errors(include_input=False, include_url=False):
        # A key that is no text was found in the file itself, where its line is known.
        if details["type"] != "invalid_key" and "[key]" not in details["loc"]:
            what, fix = _told(details, settings)
            yield _problem(document, details["loc"], what, fix)


def dangling(
    document: Document,
    data: Mapping[Any, Any],
    severities: Iterable[str],
    capabilities: frozenset[str] | None,
    mitigations: frozenset[str] | None,
) -> Iterator[Problem]:
    """Yield each name in the data that names nothing: severities, capabilities, audiences, kinds of causes."""
    known = list(severities)
    audiences = _mapping(data.get("audiences"))
    for name, policy in _mapping(data.get("severities")).items():
        if name not in known:
            yield _unknown(document, ("severities", name), f"there is no severity {name}", name, known)
        for key, there, noun in (("contain", capabilities, "capability"), ("notify", audiences, "audience")):
            for index, word in enumerate(_list(_mapping(policy).get(key))):
                if there is not None and isinstance(word, str) and word not in there:
                    where = ("severities", str(name), key, index)
                    yield _unknown(document, where, f"there is no {noun} {word}", word, there)
    for name, audience in audiences.items():
        then = _mapping(audience).get("then")
        if isinstance(then, str) and then not in audiences:
            yield _unknown(document, ("audiences", str(name), "then"), f"there is no audience {then}", then, audiences)
        elif isinstance(then, str) and _mapping(audiences[then]).get("kind") in ("customers", "partners"):
            what, fix = f"{then} is outside, and cannot take an incident", "name an audience of your own people"
            yield _problem(document, ("audiences", str(name), "then"), what, fix)
    for index, word in enumerate(_list(data.get("mitigate"))):
        if mitigations is not None and isinstance(word, str) and word not in mitigations:
            yield _unknown(document, ("mitigate", index), f"there is no capability {word}", word, mitigations)
    for name in _mapping(data.get("custom_playbooks")):
        if mitigations is not None and name in mitigations:
            what, fix = "a capability of ours has this name", "choose another name"
            yield _problem(document, ("custom_playbooks", name), what, fix)
    yield from _unknown_causes(document, _mapping(data.get("custom_playbooks")))


def _unknown_causes(document: Document, playbooks: Mapping[Any, Any]) -> Iterator[Problem]:
    for name, own in playbooks.items():
        for index, word in enumerate(_list(_mapping(own).get("for"))):
            if isinstance(word, str) and word not in KINDS:
                where = ("custom_playbooks", str(name), "for", index)
                yield _unknown(document, where, f"there is no kind of cause {word}", word, KINDS)


def _told(details: ErrorDetails, settings: type[BaseModel]) -> tuple[str, str]:
    kind, where, context = details["type"], details["loc"], details.get("ctx", {})
    if kind == "incidentctl":
        return str(context["what"]), str(context["fix"])
    if kind == "extra_forbidden":
        return "unknown key", _choose(where[-1], _keys(settings, where[:-1]))
    if kind == "missing":
        return "is missing", "add it"
    if kind in _MUST_BE:
        return f"must be {_MUST_BE[kind]}", f"write {_MUST_BE[kind]} here"
    message = details["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return message, f"choose {context['expected']}" if kind == "literal_error" else "correct the value"


def _keys(settings: type[BaseModel], where: _Location) -> list[str]:
    """Return the keys that may stand at this place."""
    here: Any = settings
    for part in where:
        is_model = isinstance(here, type) and issubclass(here, BaseModel)
        here = here.model_fields[str(part)].annotation if is_model else _model_in(here)
        if NoneType in get_args(here):
            here = _model_in(here)
    return [field.alias or name for name, field in here.model_fields.items()]


def _model_in(annotation: Any) -> Any:
    return next(kind for kind in get_args(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel))


def _unknown(document: Document, where: _Location, what: str, word: Any, known: Iterable[Any]) -> Problem:
    return _problem(document, where, what, _choose(word, known))


def _choose(word: Any, known: Iterable[Any]) -> str:
    names = [name for name in known if isinstance(name, str)]
    near = difflib.get_close_matches(str(word), names, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"choose from {', '.join(sorted(names))}" if names else "there is none yet: define it first"


def _problem(document: Document, where: _Location, what: str, fix: str) -> Problem:
    return Problem(document.line(where), ".".join(str(part) for part in where), what, fix)


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _plain(text: str) -> str:
    """Spell out what would not print: a key may hold anything."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
