"""The drills that there are: a folder each, with a drill.yml that says what is broken, and by what it is known to be mended.

What all of them have in common stands in a drills.yml beside the folders.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from incidentctl import _settings_problems, _yaml_lines
from incidentctl._settings_values import Duration, ExistingFile, Part, wrong
from incidentctl._yaml_lines import Problem
from incidentctl.cause_rules import KINDS
from incidentctl.errors import ConfigurationError, UsageError
from incidentctl.settings import Settings
from incidentctl.text import nearest

FILE, DEFAULTS = "drill.yml", "drills.yml"
LONGEST = 100_000  # bytes of a script, as the collection's _drill_script has it
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise wrong(f"is no regular expression: {error}", "correct it") from error
    return text


def _fit_to_run(path: Path) -> Path:
    """What a host would only find out when something is broken already, or when that is to be taken back."""
    if "{" in str(path):  # Ansible is given this path, and would carry out what stands in braces
        raise wrong("a brace in the path of a script would be a template to Ansible", "name it without one")
    try:
        with path.open("rb") as file:
            text = file.read(LONGEST + 1)
    except OSError as error:
        raise wrong(f"the script cannot be read: {error.strerror}", "let it be read by who runs drills") from error
    if len(text) > LONGEST:
        raise wrong(f"the script is longer than {LONGEST} bytes", "have it fetch, or make, what is large")
    if b"\r\n" in text:
        raise wrong(
            "the script has line ends of Windows, which a shell takes for a part of each word", "sed -i 's/\\r$//'"
        )
    try:
        if "\0" in text.decode():
            raise wrong("the script has a NUL character in it", "write a shell script")
    except UnicodeDecodeError as error:
        raise wrong("the script is not UTF-8 text", "write a shell script") from error
    return path


def _kind(name: str) -> str:
    if name not in KINDS:
        raise wrong(
            f"there is no kind of cause {name}{nearest(name, KINDS)}", f"choose from {', '.join(sorted(KINDS))}"
        )
    return name


Hosts = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]


class Script(Part):
    """A shell script and the hosts (names or groups) that it runs on."""

    hosts: Hosts
    script: Annotated[ExistingFile, AfterValidator(_fit_to_run)]


class Right(Part):
    """A cause is right if it has these hosts and one of these kinds, and what it says matches each pattern."""

    kinds: Annotated[tuple[Annotated[str, AfterValidator(_kind)], ...], Field(min_length=1)]
    hosts: tuple[str, ...] = ()
    says: tuple[Annotated[str, AfterValidator(_pattern)], ...] = ()


class Drill(Part):
    """One drill; durations are seconds."""

    title: Annotated[str, Field(min_length=1)]  # what somebody would say who sees only the symptom
    cause: Annotated[str, Field(min_length=1)]  # the truth, for whoever reads the score
    severity: Literal["critical", "high", "medium", "low"] = "high"
    prepare: tuple[Script, ...] = ()  # before each drill, when all is well or will be so soon
    quiet: Duration = 10.0  # and then nothing happens for so long
    inject: Annotated[tuple[Script, ...], Field(min_length=1)]
    lift: Annotated[tuple[Script, ...], Field(min_length=1)]
    symptom: Script | None = None  # exits 0 when the fault shows; without it, `recovered` that fails
    symptom_within: Annotated[Duration, Field(gt=0)] = 180.0
    noticed_after: Duration = 10.0  # the symptom is there for so long when somebody looks
    recovered: Annotated[
        tuple[Script, ...], BeforeValidator(_listed), Field(min_length=1)
    ]  # all exit 0 when all is well
    recovered_within: Annotated[Duration, Field(gt=0)] = 60.0
    right: Annotated[tuple[Right, ...], Field(min_length=1)]

    def scripts(self) -> tuple[Script, ...]:
        """Return all that it would run on a host."""
        return (*self.prepare, *self.inject, *self.lift, *self.recovered, *([self.symptom] if self.symptom else []))


def folder_of(settings: Settings) -> Path:
    """Return the folder of drills. Raise ConfigurationError if incidentctl.yml names none."""
    if settings.drills.folder is None:
        raise ConfigurationError(
            "There are no drills: incidentctl.yml has no `drills`.",
            "A drill breaks hosts, so it must be said which may be broken.",
            "drills: {folder: PATH, hosts: staging}; docs/drills.md says what a drill is made of",
        )
    return settings.drills.folder


def known(folder: Path) -> list[str]:
    """Return the names of all drills of a folder."""
    return sorted(path.parent.name for path in folder.glob(f"*/{FILE}"))


def read(folder: Path, names: Iterable[str]) -> dict[str, Drill]:
    """Return these drills. Raise UsageError if one is unknown, ConfigurationError with all that is wrong in any of them."""
    there = known(folder)
    for name in (names := list(dict.fromkeys(names))):
        if name not in there:
            fix = f"choose from: {', '.join(there)}" if there else f"there is none in {folder} yet: docs/drills.md"
            raise UsageError(f"There is no drill {name!r}{nearest(name, there)}.", fix=fix)
    defaults = folder / DEFAULTS
    common, found, wrong_ones = {}, {}, []
    try:
        common = _data(defaults) if defaults.exists() else {}
    except ConfigurationError as error:
        raise _in_all([error]) from error
    for name in names:
        try:
            found[name] = _drill(folder / name / FILE, {key: _from(folder, value) for key, value in common.items()})
        except ConfigurationError as error:
            wrong_ones.append(error)
    if wrong_ones:
        raise _in_all(wrong_ones)
    return found


def _drill(file: Path, common: Mapping[str, Any]) -> Drill:
    problems = [] if _NAME.fullmatch(file.parent.name) else [_unfit(file.parent.name)]
    document = _document(file, problems)
    data = document.data if isinstance(document.data, dict) else {}
    if not problems:
        try:
            return Drill.model_validate({**common, **data}, context={"folder": file.parent.absolute()})
        except ValidationError as error:
            problems += _settings_problems.of_pydantic(document, error, Drill)
    raise _settings_problems.as_error(file, problems)


def _data(file: Path) -> dict[str, Any]:
    problems: list[Problem] = []
    document = _document(file, problems)
    if problems:
        raise _settings_problems.as_error(file, problems)
    return dict(document.data)


def _document(file: Path, problems: list[Problem]) -> _yaml_lines.Document:
    """Read a file; what is wrong with it as a whole is added to `problems`."""
    try:
        document = _yaml_lines.parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigurationError(f"{file} cannot be read.", why, "correct it, or remove it") from error
    problems += document.problems
    if not isinstance(document.data, dict) and not document.problems:
        problems.append(Problem(1, "", "must be a mapping of keys", "docs/drills.md says which"))
    return document


def _from(folder: Path, value: Any) -> Any:
    """What all drills have in common names its scripts from the folder of them all."""
    if isinstance(value, list):
        return [_from(folder, part) for part in value]
    if isinstance(value, dict) and isinstance(value.get("script"), str):
        return {**value, "script": str(folder.absolute() / value["script"])}
    return value


def _unfit(name: str) -> Problem:
    return Problem(1, "", f"{name!r} is no name for a drill", "name the folder with letters, digits, - and _ alone")


def _in_all(errors: list[ConfigurationError]) -> ConfigurationError:
    if len(errors) == 1:
        return errors[0]
    return ConfigurationError(
        f"{len(errors)} drills cannot be used.",
        "\n".join(line for error in errors for line in (error.what, error.why) if line),
        "correct all of them; nothing was done",
    )
