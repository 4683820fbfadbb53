"""Which errors are new, and since when it all goes wrong: told from when each of them came. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils._patterns import Group

RELEASE, ONSET = "release", "onset"
ALWAYS, NEVER = float("-inf"), float("inf")  # since when it is known what a log says
_LATE = 0.25  # of the time that is known: what began only after it was not there all along
_SHORTEST_S = 240.0  # of less time than that, nobody can say what was there all along
_RECENT_S = 24 * 3600.0  # from a release to the last error: it may have begun with it
_PRESENT_S = 600.0  # what came last before that much of the end of a log is over
_SHARE = 20  # an error that came less often than one in so many of the largest makes no onset


class Seen(NamedTuple):
    """The errors of a service, the first time in its logs, since when these are known, and when its release came.

    All in seconds since 1970.
    """

    groups: Sequence[Group]
    begun: float
    known_from: float
    deployed_at: float | None

    @property
    def end(self) -> float:
        """When the last of all errors came."""
        return max((group.last for group in self.groups if group.last is not None), default=self.begun)

    @property
    def late_from(self) -> float:
        """What began after this time was not there all along; NEVER if too little is known to say so."""
        since, end = max(self.begun, self.known_from), self.end
        return since + _LATE * (end - since) if end - since >= _SHORTEST_S else NEVER


class New(NamedTuple):
    """Whether an error is new (None: nobody can tell), and since what: RELEASE, ONSET or None."""

    new: bool | None
    since: str | None


def moment(iso: str | None) -> float | None:
    """Return a time in ISO 8601 in seconds since 1970, whole ones.

    Many logs say whole seconds: an error in the second of a release came after it.
    """
    return None if iso is None else datetime.fromisoformat(iso).replace(microsecond=0).timestamp()


def newness(seen: Seen) -> list[New]:
    """Return of each error whether it is new since the release, or since the onset where the former cannot be told.

    New since the onset is what began late, while the logs had gone on without it for a good part of what they tell. What
    was over when the service was seen well, and came again, is as new as what was never there.
    """
    late = seen.late_from
    return [_newness(group, seen, late) for group in seen.groups]


def _newness(group: Group, seen: Seen, late: float) -> New:
    if not group.bursts:
        return New(None, None)
    first = group.bursts.anew()
    if seen.deployed_at is not None:
        if first < seen.deployed_at:
            return New(False, None)
        if seen.known_from < seen.deployed_at:
            return New(True, RELEASE)
    if late == NEVER:
        return New(None, None)
    return New(True, ONSET) if first > late else New(False, None)


def began(group: Group) -> float:
    """Return when the present burst of an error began, NEVER if it tells no time."""
    return group.bursts.latest()[0] if group.bursts else NEVER


def late(seen: Seen) -> list[Group]:
    """Return the errors that were not there all along: those that came late, for the first time or once more."""
    since = seen.late_from
    return [group for group in seen.groups if group.bursts and began(group) > since]


def first(seen: Seen, told: Sequence[New]) -> Group | None:
    """Return the error with whose present burst it all began; None if none tells a time.

    It is one of those that are new since a recent release, else of those that were not there all along, else of all; not
    one that is over, nor one that hardly ever comes.
    """
    recent = seen.deployed_at is not None and seen.end - seen.deployed_at <= _RECENT_S
    new = [group for group, new in zip(seen.groups, told) if new.since == RELEASE and recent]
    candidates = new or late(seen) or [group for group in seen.groups if group.bursts]
    candidates = [group for group in candidates if group.bursts.last >= seen.end - _PRESENT_S] or candidates
    most = max((_often(group) for group in candidates), default=0)
    return min((group for group in candidates if _SHARE * _often(group) >= most), key=began, default=None)


def _often(group: Group) -> int:
    return group.bursts.latest()[1]
