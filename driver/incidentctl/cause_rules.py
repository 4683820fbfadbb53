"""How likely each kind of finding, and of change, is a cause before anything speaks for or against it. Pure.

The table of docs/diagnosis.md. `means` are the words of the collection's `_error_meaning`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Rule(NamedTuple):
    """What one kind is worth: `same` are the keys of `about` by which it is the same cause on another host.

    `beside` are the kinds of findings that go with it on its host. A symptom is what a deeper cause may explain. `missed`
    is what is said by those who need the service that it takes away.
    """

    prior: int
    means: frozenset[str] = frozenset()
    same: tuple[str, ...] = ()
    beside: frozenset[str] = frozenset()
    symptom: bool = False
    missed: frozenset[str] = frozenset()


def _rule(
    prior: int, means: str = "", same: str = "", beside: str = "", symptom: bool = False, missed: str = ""
) -> Rule:
    words, missing = frozenset(means.split()), frozenset(missed.split())
    return Rule(prior, words, tuple(same.split()), frozenset(beside.split()), symptom, missing)


RULES: Mapping[str, Rule] = {
    # what somebody did
    "release": _rule(45, "schema configuration", "release"),
    "changed": _rule(18, "permission configuration"),
    # what a host is short of
    "disk": _rule(35, "no_space", "path", "folder_growing deleted_open"),
    "inodes": _rule(35, "no_space", "path", "folder_growing"),
    "folder_growing": _rule(28, "no_space", "path", "disk inodes"),
    "folder_largest": _rule(5, "", "path"),
    "deleted_open": _rule(30, "no_space", "path", "disk"),
    "read_only": _rule(40, "permission", "path"),
    "not_mounted": _rule(30, "permission no_space", "path"),
    "disk_silent": _rule(30, "timeout", "path"),
    "memory": _rule(28, "memory", "", "oom process"),
    "oom": _rule(35, "memory", "unit name", "memory", missed="connection_refused"),
    "descriptors": _rule(30, "descriptors", "unit name"),
    "connections": _rule(32, "timeout too_many_connections descriptors", "peer port", "sockets load cpu"),
    "sockets": _rule(15, "timeout descriptors", "port"),
    "process": _rule(30, "timeout memory", "name unit", "cpu load pressure memory"),
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
    "lock": _rule(36, "lock timeout too_many_connections", "name user peer"),
    "dependency_slow": _rule(30, "timeout", "name"),
    "not_running": _rule(32, "connection_refused", symptom=True),
    "dependency": _rule(26, "connection_refused timeout", "name check", symptom=True),
    # what is seen of it
    "errors": _rule(12, "", "error", symptom=True),
    "unhealthy": _rule(10, symptom=True),
    "not_managed": _rule(5, symptom=True),
}
OTHER = _rule(10)  # a kind of a newer collection
# Of these something has happened; the others are as the look itself found the host.
HAPPENED = frozenset({"release", "oom", "errors"})
NEVER = frozenset({"contained"})  # that we stopped it ourselves explains itself

# What is suspected where an error, or a check that fails, says where to look.
TOPICS: Mapping[str, str] = {
    "no_space": "disk",
    "descriptors": "descriptors",
    "too_many_connections": "connections",
    "schema": "schema",
    "certificate": "certificate",
    "name_resolution": "name_resolution",
    "memory": "memory",
    "permission": "permission",
    "login": "login",
    "lock": "lock",
    "configuration": "configuration",
}

# Changes, within a day before the trouble began.
CHANGES: Mapping[str, Rule] = {
    "release": _rule(30, "schema configuration"),
    "image": _rule(30, "schema configuration"),
    "configuration": _rule(
        30, "configuration login connection_refused name_resolution schema permission certificate too_many_connections"
    ),
    "permission": _rule(18, "permission"),
    "unit": _rule(24, "configuration permission"),
    "certificate": _rule(24, "certificate"),
    "package": _rule(22, "permission configuration schema"),
    "cron": _rule(16, beside="process"),
    "clock": _rule(16, "certificate login"),
    "kernel": _rule(14),
    "reboot": _rule(14, "connection_refused"),
    "user": _rule(5, "permission login"),
    "restart": _rule(4, "connection_refused"),
    "login": _rule(2),
}
OTHER_CHANGE = _rule(8)

# Each kind that a cause may be of.
KINDS = frozenset({*RULES, *TOPICS.values(), *CHANGES})

# What speaks for and against: points.
SEVERE = {"critical": 10, "info": -12}
NAMED, SAID = 20, 12  # an error says just this, and names the very path, host or port; or only says so
NEEDED, NEEDED_MORE, ANSWERS = 15, 2, 3  # a sick service needs it in vain; each further one; or it answers all the same
OF_THE_HOST = -16  # a change that belongs to no service
CHANGED_JUST_BEFORE, BEGAN_JUST_BEFORE, SOMEWHAT_BEFORE, LONG_BEFORE = 18, 8, 6, -8
AFTER = OVER_BEFORE = -15
ONLY_THE_SICK, SICK_THERE, SEVERAL_HOSTS = 8, 6, 3
WITHOUT_IT, WELL_WITH_IT, NOBODY_SICK = -8, -12, -15
USERS_SEE_IT = 3
TELLING = 20  # a change of a kind with so many points explains, just before, that its service went down
DEEPEST = 8  # of all that fails, nothing lies deeper
BESIDE = 6  # another finding of its host goes with it
# An error that was not there before; its meaning is known; it is one that says where to look.
NEW, MEANT, PLAIN = 14, 4, 12
OFTEN, MANY = 10, 1000  # an error that came so many times
VAGUE = frozenset({"timeout", "connection_refused"})  # what fails, but not why
EXPLAINED = -20
JUST_BEFORE_S, SOMEWHAT_BEFORE_S, DAY_S, SLACK_S = 15 * 60, 3600, 24 * 3600, 60
