"""Which kinds of causes each way out touches: what it can take away, or hold off. Pure.

The table of docs/options.md; the kinds are those of `cause_rules`. Touched is not cured: it says that the act reaches
what is suspected at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from incidentctl.cause_rules import RULES

_OF_A_RELEASE = frozenset({"release", "image", "schema"})

# An option, or a capability under `mitigate` → the kinds of causes that it touches. What is not named touches none: it
# watches, secures, or takes the service away from everybody.
TOUCHED: Mapping[str, frozenset[str]] = {
    "rollback": _OF_A_RELEASE,
    "hotfix": _OF_A_RELEASE,
    "circuit_breaker": frozenset({"dependency", "dependency_slow"}),
    "rate_limit": frozenset({"connections", "sockets"}),
    "restart": frozenset(
        {
            "database_connections",  # it gives back those that it holds
            "deleted_open",
            "descriptors",
            "lock",
            "memory",
            "not_running",
            "oom",
            "process",
            "sockets",
        }
    ),
    "scale_down": frozenset({"cpu", "load", "memory", "oom", "pressure"}),
}
# They watch, and stay beside whatever is done.
WATCHING = frozenset({"enhanced_monitoring"})
# They take the service away for a moment, and nothing gives that back: not for a cause that they are known not to touch.
ONCE = frozenset({"restart"})


def touches(way: str, kind: str, causes: Iterable[str] = ()) -> bool | None:
    """Say whether a way out touches a cause of this kind; None where nobody can tell.

    `causes` are the kinds that a custom playbook is for. Of a symptom it is not known what lies behind it.
    """
    if kind in TOUCHED.get(way, ()) or kind in causes:
        return True
    return None if kind in RULES and RULES[kind].symptom else False


def fitting(capabilities: Iterable[str], kind: str | None) -> tuple[str, ...]:
    """Return those mitigations that touch a cause of this kind, with those that watch.

    Where none touches it, all but what is done once and not taken back. Without a kind, nothing is known: all of them.
    """
    every = tuple(capabilities)
    helping = {name for name in every if kind is not None and touches(name, kind)}
    if helping:
        return tuple(name for name in every if name in helping | WATCHING)
    return tuple(name for name in every if name not in ONCE or kind is None or touches(name, kind) is None)
