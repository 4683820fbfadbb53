"""Fetch a large file from a host so that a part of it counts: by an sftp that goes on where the part ends, if there is one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.incidentctl.response.plugins.plugin_utils._homecoming import CutOffError


def fetch_on(connection: Any, source: str, part: str) -> None:
    """Fetch what `part` lacks of `source`, or all of it where the connection has no sftp.

    Raise CutOffError if some of it came, and not all; AnsibleError if nothing did, and the host is there: the file is not.
    """
    before = _size(part)
    if connection.transport == "ssh":
        try:
            with _sftp_that_goes_on(connection):
                connection.fetch_file(source, part)
        except AnsibleError as error:
            if _size(part) > before:
                raise CutOffError(_size(part)) from error
        else:
            return
    try:
        connection.fetch_file(source, part)  # as it always does: there may be no sftp
    except AnsibleConnectionFailure as error:
        raise CutOffError(_size(part)) from error


@contextlib.contextmanager
def _sftp_that_goes_on(connection: Any) -> Iterator[None]:
    before = {name: connection.get_option(name) for name in ("sftp_extra_args", "ssh_transfer_method")}
    connection.set_option("sftp_extra_args", f"{before['sftp_extra_args'] or ''} -a".strip())
    connection.set_option("ssh_transfer_method", "sftp")
    try:
        yield
    finally:
        for name, value in before.items():
            connection.set_option(name, value)


def _size(part: str) -> int:
    return Path(part).stat().st_size
