"""Who acts, as the system knows it rather than as the environment says."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Callable
from pathlib import Path

_LOGIN = Path("/proc/self/loginuid")
_UNSET = 2**32 - 1  # nobody logged in: a service, a job, a container


def whoami() -> str:
    """Return who acts, for the record: user@host, or `user as other@host` where they log in as one and act as the other."""
    return f"{who(_login_uid(), os.getuid(), os.environ.get('SUDO_USER'), _name)}@{socket.gethostname()}"


def who(login: int | None, real: int, sudo: str | None, name: Callable[[int], str]) -> str:
    """Return who acts, given the user who logged in (None: not known), the real user, and whom sudo says that it acts for.

    What sudo says stands in the environment: it counts for root alone, who may be anybody anyway.
    """
    acting = (sudo or None) if real == 0 else name(real)
    person = name(login) if login is not None else acting or name(real)
    return person if acting in (None, person) else f"{person} as {acting}"


def _login_uid() -> int | None:
    """Return who logged in, which stays so whoever they become: the kernel keeps it. None where it does not know."""
    try:
        uid = int(_LOGIN.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return None if uid == _UNSET else uid


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
