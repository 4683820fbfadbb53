"""The errors that came into the logs of services while something else was done: what was there before is not counted."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _log_errors, _service_errors
from ansible_collections.incidentctl.response.plugins.module_utils._patterns import CAUSE, Patterns, shown
from ansible_collections.incidentctl.response.plugins.module_utils._regular_file import open_regular
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

_READ_S = 10.0
_MOST = 64 << 20  # bytes of a file that are read at most
_RECENT = 4 << 20  # the same of a journal or a container, of which the newest are asked for, whatever their time
_KINDS = 3
_CHARS = 200

Facts = dict[str, Any]


class Meanwhile:
    """Begun before, and asked after."""

    def __init__(self, services: list[Facts]) -> None:
        """Note where the logs of these services end now."""
        self._services = [service for service in services if service.get("logs")]
        self._begun, self._since = time.monotonic(), time.time()
        paths = {log["path"] for s in self._services for log in s["logs"] if log["kind"] == "file"}
        self._sizes = {path: _size_before(path) for path in paths}

    def counted(self) -> dict[str, Facts]:
        """Return by service {count, seconds, at_least, kinds: [{template, count}], notes}.

        `count` is None where a log could not be read; `at_least` where there may be more than are counted.
        """
        until = time.monotonic() + _READ_S
        return {service["name"]: self._of(service, until) for service in self._services}

    def _of(self, service: Facts, until: float) -> Facts:
        reading, patterns, at_least = _service_errors.Reading(), Patterns(), False
        notes: list[str] = []
        seconds = time.monotonic() - self._begun
        for log in _service_errors.logs(service, reading):
            name = _service_errors.name_of(log)
            try:
                at_least |= self._add(log, name, patterns, until)
            except FileNotFoundError:
                notes.append(f"log {name} is not there")
            except OSError as error:
                reading.unread.append(f"log {name} cannot be read: {error.strerror or error}")
        groups = patterns.groups()
        return {
            "count": None if reading.unread else sum(group.count for group in groups),
            "seconds": round(seconds, 1),
            "at_least": at_least,
            "kinds": [{"template": _said(group.template), "count": group.count} for group in groups[:_KINDS]],
            "notes": [clean(note, _CHARS) for note in [*reading.unread, *reading.notes, *notes]],
        }

    def _add(self, log: Facts, name: str, patterns: Patterns, until: float) -> bool:
        """Count the errors that came into one log; return whether there may be more of them."""
        limit, since, cut = _RECENT, self._since, False
        if log["kind"] == "file":
            size, before = _size(log["path"]), self._sizes[log["path"]]
            grown = size - before if size >= before else size  # one that is shorter was begun anew
            if not grown:
                return False
            limit, since, cut = min(grown, _MOST), None, grown > _MOST
        with _service_errors.opened(log, limit, until) as source:
            errors = _log_errors.Reader().of_source(source)
            patterns.add((e for e in errors if since is None or e.at is None or e.at >= since), name)
            return cut or (since is not None and source.older and (source.first or 0) > since)


def _said(template: str) -> str:
    said, _mark, cause = template.partition(CAUSE)
    return clean(shown(cause or said), _CHARS)


def _size(path: str) -> int:
    with open_regular(Path(path)) as stream:
        return os.fstat(stream.fileno()).st_size


def _size_before(path: str) -> int:
    try:
        return _size(path)
    except OSError:  # should it stay so, that is told when it is to be counted
        return 0
