"""What of the changes is suspicious by itself. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ansible_collections.incidentctl.response.plugins.module_utils._change import Change
from ansible_collections.incidentctl.response.plugins.module_utils._finding import Finding, clock, finding


def of_changes(changes: Iterable[Change]) -> Iterator[Finding]:
    """Say where a service may not write any more: a change of mode or owner that shuts it out of its own data."""
    for one in changes:
        if "denied" in one:
            text = f"{one['service']}: mode or owner of {one['path']} changed {clock(one['at'])}: {one['detail']}"
            yield finding("critical", "changed", text, one["service"], one["at"], path=one["path"], name=one["denied"])
