"""The kinds of values that incidentctl.yml holds, beyond plain text and numbers."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, BeforeValidator, ValidationInfo
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


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise wrong("there is no such file", "write a path from the folder that this file is in")
    return path


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")) or not urlsplit(text).hostname:
        raise wrong("is not a URL", "write http://host:port or https://…")
    return _without_password(text)


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
