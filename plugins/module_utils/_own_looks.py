"""Which errors came only while we ourselves looked: our own requests provoked them, and no user's trouble."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._bursts import Bursts

Look = tuple[float, float]

KEPT = 64  # the newest
_LATE_S = 15.0  # whoever tells ages counts them before we begin: by so much they may be told too late
_LOOKS = 2  # that it came in at least: trouble may begin just when one does
_SHARE = 10  # times as long as we looked, it is known what the logs say
_LONG_S = 1e6


def known(params: dict[str, Any], begun: float) -> list[Look]:
    """Return from when until when we looked, in seconds since 1970 by this host's clock, in order, none touching another.

    `looks` says how many seconds ago that was; the last one goes on since `begun`, and began when all others had ended.
    """
    now, begun = time.time(), math.floor(begun)  # many logs say whole seconds
    told = [each for each in params["looks"] if isinstance(each, list) and len(each) == 2]
    ages = [each for each in told if all(isinstance(age, (int, float)) and 0 <= age < _LONG_S for age in each)]
    found: list[Look] = []
    for begin, end in sorted(
        [*((now - since - _LATE_S, min(now - until, begun)) for since, until in ages), (begun, math.inf)]
    ):
        if found and begin < found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((begin, end))
    return found[-KEPT:]


def provoked(bursts: Bursts, count: int, looks: Sequence[Look], known_from: float) -> bool:
    """Say whether an error that came so often came only while we looked, though that was little of the time.

    `known_from` is since when it is known what the logs say.
    """
    met = bursts.met
    if met is None or len(met) < _LOOKS or count != bursts.count:
        return False  # of one without a time nobody can tell
    within = [(begin, min(end, time.time())) for begin, end in looks[min(met) : max(met) + 1]]
    since = min(known_from, within[0][0]) if math.isfinite(known_from) else within[0][0]
    return within[-1][1] - since >= _SHARE * sum(end - begin for begin, end in within)
