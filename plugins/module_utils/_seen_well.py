"""When a service was seen well: as this host noted it, and as it was told of recoveries that were verified."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _onset, _release_history

KEPT = 16  # the newest: each divides what is told of every error


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
