"""A session of psql that stays open while something else is done, such as a dump of the snapshot that it holds."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

_END = "incidentctl: answered"
_SAID_LIMIT = 1000
_LEAVE_S = 5.0


class PsqlError(OSError):
    """The session ended before it answered; the message is what psql said."""


class Psql:
    """One session, ended for good when it is left, and in any case after `timeout_s` seconds."""

    def __init__(self, argv: list[str], timeout_s: float) -> None:
        """Keep what to run; nothing runs yet."""
        self._argv, self._timeout_s = argv, timeout_s
        self.said = ""  # beside the answers to the last question: errors, where the session goes on after them

    def __enter__(self) -> Psql:
        """Start psql. Raise OSError if it cannot be started."""
        self._process = subprocess.Popen(
            self._argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",  # where every user may be
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        self._clock = threading.Timer(self._timeout_s, self._kill)
        self._clock.daemon = True
        self._clock.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Let psql end, or end it."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_LEAVE_S)
        except subprocess.TimeoutExpired:
            self._kill()
            self._process.wait()
        self._clock.cancel()
        self._process.stdout.close()

    def ask(self, sql: str) -> list[list[Any]]:
        """Run `sql`, whose answers are JSON arrays, one a row; return them. Raise PsqlError if any of it fails."""
        with contextlib.suppress(BrokenPipeError):  # psql has ended: what it said comes below
            self._process.stdin.write(f"{sql}\n\\echo {_END}\n")
            self._process.stdin.flush()
        rows, said = [], []
        for line in self._process.stdout:
            if line.rstrip("\n") == _END:
                self.said = clean("".join(said), _SAID_LIMIT)
                return rows
            try:
                found = json.loads(line) if line.startswith("[") else None
            except ValueError:  # cut off, or what a message quotes
                found = None
            if found is None:
                said.append(line)
            else:
                rows.append(found)
        raise PsqlError(
            clean("".join(said), _SAID_LIMIT) or "psql ended without an answer, or was ended at its deadline"
        )

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
