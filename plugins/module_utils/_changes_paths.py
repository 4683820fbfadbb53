"""What it means that files were touched: a unit, a cron job, a certificate, the configuration of a service. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from ansible_collections.incidentctl.response.plugins.module_utils._change import Change, change, some
from ansible_collections.incidentctl.response.plugins.module_utils._changes_files import Touched

_AT_ONCE_S = 60  # files that one hand changes come within so long of one another
_MANY = 40  # so many at once are an installation, not an edit
_FEW, _FEW_OF_ALL = (
    3,
    10,
)  # files of one folder that are told one by one; of /etc itself, where each means something else
_HOW = {
    "changed": "had {} changed",
    "put in place": "had {} put in place",
    "permission": "had mode or owner of {} changed",
    "permission or put in place": "had {} put in place, or its mode or owner changed",
}
_CERTIFICATE = re.compile(r"\.(?:pem|crt|cer|key|p12|pfx|jks)$|^/etc/(?:ssl|letsencrypt|pki)/")
_KINDS = (
    ("unit", re.compile(r"/systemd/(?:system|user)/|^/etc/init\.d/")),
    ("cron", re.compile(r"^/etc/cron|^/etc/anacrontab|^/var/spool/cron")),
    ("user", re.compile(r"^/etc/sudoers|^/etc/(?:passwd|group|shadow|gshadow)$|/\.ssh/authorized_keys")),
    ("certificate", _CERTIFICATE),
)
_ENABLED = re.compile(r"/systemd/(?:system|user)/[^/]+\.(?:wants|requires)/(?P<unit>[^/]+)$")
# Rules, alerts and clocks that an incident puts on a host.
_OURS = re.compile(r"/incidentctl[-.@]")


class Owners(NamedTuple):
    """Which service a path belongs to: what it declares, and folders that bear its name."""

    declared: Mapping[str, str]  # path → service
    names: Mapping[str, str]  # name of a service, or of its unit → service

    def of(self, path: str) -> str | None:
        """Return the service that a path belongs to, None for what is the host's."""
        for each in [PurePosixPath(path), *PurePosixPath(path).parents]:
            if str(each) in self.declared:
                return self.declared[str(each)]
        words = (part.partition(".")[0] for part in PurePosixPath(path).parts)
        return next((self.names[word] for word in words if word in self.names), None)


class Run(NamedTuple):
    """A time in which packages were installed, and what they say is theirs."""

    since: float
    until: float
    packages: str  # their names, in words
    paths: frozenset[str]
    units: frozenset[str]  # those among them, which installing enables


def is_ours(path: str) -> bool:
    """Say whether an incident put this file on the host, or may have."""
    return _OURS.search(path) is not None


def read(
    touched: Iterable[Touched], owners: Owners, runs: Sequence[Run], said: Mapping[str, str] | None = None
) -> list[Change]:
    """Given what was touched, return what changed: many alike at the same time as one. What packages brought is left out.

    `said` is what else there is to say of a path.
    """
    left = [each for each in touched if not _is_of_a_package(each, runs)]
    found = [told for cluster in _clusters(left) for told in _told(cluster, owners, runs)]
    more = said or {}
    return [{**one, "detail": "; ".join(filter(None, (one["detail"], more.get(str(one["path"])))))} for one in found]


def _is_of_a_package(each: Touched, runs: Sequence[Run]) -> bool:
    during = [run for run in runs if run.since - _AT_ONCE_S <= each.at <= run.until + _AT_ONCE_S]
    enabled = _ENABLED.search(each.path)
    return any(each.path in run.paths or (enabled and enabled["unit"] in run.units) for run in during)


def _clusters(touched: Iterable[Touched]) -> Iterator[list[Touched]]:
    """Give what was done in the same way at about the same time together."""
    by_how: dict[str, list[Touched]] = {}
    for each in sorted(touched):
        by_how.setdefault(each.how, []).append(each)
    for same in by_how.values():
        cluster = [same[0]]
        for each in same[1:]:
            if each.at - cluster[-1].at > _AT_ONCE_S:
                yield cluster
                cluster = []
            cluster.append(each)
        yield cluster


def _told(cluster: list[Touched], owners: Owners, runs: Sequence[Run]) -> Iterator[Change]:
    if len(cluster) > _MANY:
        kind = "permission" if cluster[0].how == "permission" else "configuration"
        yield _many(kind, cluster, _place(cluster), None)
        return
    groups: dict[Any, list[Touched]] = {}
    for each in cluster:
        groups.setdefault((_kind(each), owners.of(each.path), _top(each.path)), []).append(each)
    for (kind, service, top), group in groups.items():
        if len(group) > (_FEW_OF_ALL if top == "/etc" else _FEW):
            yield _many(kind, group, top, service)
        else:
            yield from (_one(kind, each, service, runs) for each in group)


def _one(kind: str, each: Touched, service: str | None, runs: Sequence[Run]) -> Change:
    during = next((run.packages for run in runs if run.since - 1 <= each.at <= run.until + 1), "")
    detail = [f"now {each.now}"] if each.how.startswith("permission") else []
    detail += [f"while packages were installed: {during}"] if during else []
    what = each.path
    if match := _ENABLED.search(each.path):
        text = f"had {match['unit']} enabled"
    else:
        what = f"{kind} file {each.path}" if kind == "cron" else each.path
        text = _HOW[each.how].format(what)
    return change(kind, f"{each.path} {each.how}", text, each.at, "; ".join(detail), service, each.path)


def _many(kind: str, group: list[Touched], place: str, service: str | None) -> Change:
    """Tell of many at once; the time is that of the first."""
    how = group[0].how
    text = _HOW[how].format(f"{len(group)} files under {place}").replace("or its mode", "or their mode")
    names = [each.path[len(place) :].lstrip("/") or each.path for each in group]
    return change(kind, f"{place} {how} {some(names)}", text, group[0].at, some(names), service, place)


def _kind(each: Touched) -> str:
    if each.how == "permission":
        return "permission"
    return next((kind for kind, pattern in _KINDS if pattern.search(each.path)), "configuration")


def _top(path: str) -> str:
    """Return the folder that files are told together under: /etc/nginx, /srv/shop."""
    parts = PurePosixPath(path).parts
    return str(PurePosixPath(*parts[: min(3, len(parts) - 1)]))


def _place(cluster: list[Touched]) -> str:
    tops = sorted({PurePosixPath(each.path).parts[1] for each in cluster})
    return f"/{tops[0]}" if len(tops) == 1 else "/"
