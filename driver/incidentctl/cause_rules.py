"""How likely each kind of finding, and of change, is a cause before anything speaks for or against it. Pure.

The table of docs/diagnosis.md. `means` are the words of the collection's `_error_meaning`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Rule(NamedTuple):
    """What one kind is worth: `same` are the keys of `about` by which it is the same cause on another host.

    A symptom is what a deeper cause may explain.
    """

    prior: int
    means: frozenset[str] = frozenset()
    same: tuple[str, ...] = ()
    symptom: bool = False


def _rule(prior: int, means: str = "", same: str = "", symptom: bool = False) -> Rule:
    return Rule(prior, frozenset(means.split()), tuple(same.split()), symptom)


RULES: Mapping[str, Rule] = {
    # what somebody did
    "release": _rule(45, "schema configuration", "release"),
    "changed": _rule(30, "permission configuration", "path name"),
    # what a host is short of
    "disk": _rule(35, "no_space", "path"),
    "inodes": _rule(35, "no_space", "path"),
    "folder_growing": _rule(28, "no_space", "path"),
    "disk_silent": _rule(30, "timeout", "path"),
    "memory": _rule(30, "memory", ""),
    "oom": _rule(35, "memory", "unit name"),
    "descriptors": _rule(30, "descriptors", "unit name"),
    "connections": _rule(32, "timeout too_many_connections descriptors", "peer port"),
    "sockets": _rule(15, "timeout descriptors", "port"),
    "process": _rule(30, "timeout memory", "name unit"),
    "pressure": _rule(12, "timeout", "name"),
    "cpu": _rule(12, "timeout"),
    "load": _rule(8, "timeout"),
    "clock": _rule(25, "certificate login"),
    # what does not answer
    "silent": _rule(20, "connection_refused timeout", "host"),
    "name_resolution": _rule(36, "name_resolution", "host"),
    "certificate": _rule(30, "certificate", "name path host"),
    "login": _rule(30, "login", "name"),
    "database_connections": _rule(36, "too_many_connections timeout", "name host port"),
    "dependency_slow": _rule(30, "timeout", "name"),
    "not_running": _rule(32, "connection_refused", "", symptom=True),
    "dependency": _rule(26, "connection_refused timeout", "name check", symptom=True),
    # what is seen of it
    "errors": _rule(12, "", "error", symptom=True),
    "unhealthy": _rule(10, "", "", symptom=True),
    "not_managed": _rule(5, "", "", symptom=True),
}
OTHER = _rule(10)  # a kind of a newer collection
NEVER = frozenset({"contained"})  # that we stopped it ourselves explains itself

# Changes, within a day before the trouble began.
CHANGES: Mapping[str, Rule] = {
    "release": _rule(30, "schema configuration"),
    "image": _rule(30, "schema configuration"),
    "migration": _rule(30, "schema"),
    "configuration": _rule(30, "configuration login connection_refused name_resolution"),
    "permission": _rule(28, "permission"),
    "unit": _rule(24, "configuration permission"),
    "package": _rule(22, "permission configuration schema"),
    "cron": _rule(16),
    "kernel": _rule(14),
    "reboot": _rule(14),
    "user": _rule(5, "permission login"),
    "restart": _rule(4),
}
OTHER_CHANGE = _rule(8)

# What speaks for and against: points.
SEVERE = {"critical": 10, "info": -12}
NAMED, SAID = 20, 12  # an error says just this, and names the very path, host or port; or only says so
NEEDED, NEEDED_MORE = 15, 2  # a sick service needs it; each further one
CHANGED_JUST_BEFORE, BEGAN_JUST_BEFORE, SOMEWHAT_BEFORE, LONG_BEFORE = 18, 8, 6, -8
AFTER = -15
ONLY_THE_SICK, SICK_THERE, SEVERAL_HOSTS = 8, 6, 3
WITHOUT_IT, WELL_WITH_IT, NOBODY_SICK = -8, -12, -15
USERS_SEE_IT = 3
NEW, MEANT = 8, 6  # an error that was not there before the release; one whose meaning is known
EXPLAINED = -20
JUST_BEFORE_S, SOMEWHAT_BEFORE_S, DAY_S, SLACK_S = 15 * 60, 3600, 24 * 3600, 60
