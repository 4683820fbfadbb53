"""When a service was seen well: as this host noted it, and as it was told of recoveries that were verified."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _onset, _release_history

KEPT = 16  # the newest: each divides what is told of every error
_SWITCHED_S = 60.0  # longer than a release is down for while it is switched


def look(params: dict[str, Any], service: str) -> list[float]:
    """Return when a service was seen well, in seconds since 1970 by this host's clock, in order; what cannot be read is none.

    `seen_well` says of services how many seconds ago that was: whoever says it may have another clock.
    """
    now = time.time()
    told = params["seen_well"].get(service)
    found = [now - ago for ago in (told if isinstance(told, list) else ()) if isinstance(ago, (int, float)) and ago > 0]
    try:
        noted = [_onset.moment(at) for at in _release_history.healthy(params, service)]
    except (OSError, ValueError):  # root's, and we are not root; or no time
        noted = []
    return sorted([*found, *(at for at in noted if at is not None)])[-KEPT:]


def came_back(params: dict[str, Any], service: str, release: dict[str, Any] | None) -> list[float]:
    """Return when at the latest a release was gone that had been bad here before: a while before it came once more.

    Nobody need have looked in between: an error that is silent then, and comes after it, is the release's.
    """
    deployed = _onset.moment(release["deployed_at"]) if release else None
    if release is None or deployed is None:
        return []
    try:
        bad = _release_history.was_bad(params, service, release["current"], release["deployed_at"])
    except OSError:
        return []
    return [deployed - _SWITCHED_S] if bad else []
