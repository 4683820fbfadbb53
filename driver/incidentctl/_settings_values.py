"""The kinds of values that incidentctl.yml holds, beyond plain text and numbers, and what all its parts have in common."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*([smhd]?)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def wrong(what: str, fix: str) -> PydanticCustomError:
    """Return the error that a validator raises: what is wrong with the value, and how to fix it."""
    return PydanticCustomError("incidentctl", "{what}", {"what": what, "fix": fix})


def _seconds(value: Any) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9
    found = _DURATION.fullmatch(str(value).strip()) if number or isinstance(value, str) else None
    if found is None:
        raise wrong("is not a duration", "write 30s, 5m, 4h, 1d, or a number of seconds")
    return float(found[1]) * _UNITS[found[2]]


def _from_folder(path: Path, info: ValidationInfo) -> Path:
    """Relative paths are meant from the folder of the file that they stand in."""
    if not path.parts or "\0" in str(path):
        raise wrong("is not a path", "write the path of a file or folder")
    try:
        path = path.expanduser()
    except RuntimeError as error:
        raise wrong("names a user without a home folder", "write the whole path") from error
    return path if info.context is None else Path(os.path.normpath(Path(info.context["folder"]) / path))


def existing(path: Path, info: ValidationInfo) -> Path:
    """Given a path as it stands in the file, return it as an absolute one. Raise if there is no such file."""
    return _existing(_from_folder(path, info))


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise wrong("there is no such file", "write a path from the folder that this file is in")
    return path


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")) or not urlsplit(text).hostname:
        raise wrong("is not a URL", "write http://host:port or https://…")
    _without_password(text)
    try:
        if urlsplit(text).port == 0:
            raise ValueError
    except ValueError as error:
        raise wrong("has a port that is no number from 1 to 65535", "write http://host:port") from error
    return text


def _record_url(text: str, info: ValidationInfo) -> str:
    if not text:
        return f"sqlite:///{info.data.get('state_dir', Path())}/record.db"
    kind, _colon, rest = text.partition("://")
    if kind.partition("+")[0] not in ("sqlite", "postgresql") or not rest.strip("/"):
        fix = "write sqlite:///path/to/record.db or postgresql+psycopg://user@host/database"
        raise wrong("is not a record's URL", fix)
    file = rest.removeprefix("/")
    if kind == "sqlite" and not file.startswith(("/", ":memory:")) and info.context is not None:
        return f"sqlite:///{Path(info.context['folder']) / file}"
    return _without_password(text)


def _without_password(text: str) -> str:
    parts = urlsplit(text)
    if parts.password is not None or "password" in parse_qs(parts.query):
        raise wrong("a secret is never written here", "leave the password out (PostgreSQL reads it from PGPASSFILE)")
    return text


Duration = Annotated[float, BeforeValidator(_seconds)]
PathFromFile = Annotated[Path, AfterValidator(_from_folder)]
ExistingFile = Annotated[PathFromFile, AfterValidator(_existing)]
Url = Annotated[str, AfterValidator(_url)]
RecordUrl = Annotated[str, AfterValidator(_record_url)]


class Part(BaseModel):
    """A part of the file: what is not known is refused, what was read is never changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)


class Secret(Part):
    """Where a secret is: in an environment variable, or in a file. Never the secret itself."""

    env: str | None = None
    file: PathFromFile | None = None

    @model_validator(mode="before")
    @classmethod
    def _not_a_literal(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise wrong("a secret is never written here", "write {env: NAME} or {file: PATH}, and put it there")
        return value

    @property
    def place(self) -> str:
        """Where it is, in words."""
        return f"file {self.file}" if self.env is None else f"environment variable {self.env}"

    @model_validator(mode="after")
    def _one_place(self) -> Secret:
        if (self.env is None) == (self.file is None):
            raise wrong("must be exactly one of env and file", "write {env: NAME} or {file: PATH}")
        return self
