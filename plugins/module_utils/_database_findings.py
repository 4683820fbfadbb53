"""Whether a database of this host is short of connections, who holds them, and whom many wait for. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._finding import Finding, finding, span

_NEARLY_ALL = 0.9
_WAITED_S, _LONG_S = 3, 10  # for a lock: from when on that is told, and is critical


def of_databases(name: str, facts: Mapping[str, Any]) -> Iterator[Finding]:
    """Given the facts of a service, say which of its databases has few connections left, or none."""
    for seen in facts.get("databases", ()):
        yield from _of_locks(name, seen)
        if seen["used"] < _NEARLY_ALL * seen["max"]:
            continue
        severity = "critical" if seen["used"] >= seen["max"] else "warning"
        text = f"{name}: {seen['used']} of {seen['max']} connections of {seen['database']}'s server are in use"
        about = {key: seen[key] for key in ("database", "used", "max")}
        if seen["clients"]:
            most = seen["clients"][0]
            told = f", {most['state']}" + (f" for up to {span(most['longest_s'])}" if most["longest_s"] else "")
            text += f"; {most['user']} from {most['address']} holds {most['count']}{told}"
            about.update(user=most["user"], peer=most["address"], count=most["count"], state=most["state"])
        yield finding(severity, "database_connections", text, name, name=name, **about)


def _of_locks(name: str, seen: Mapping[str, Any]) -> Iterator[Finding]:
    """Of who keeps others from a lock, the one whose transaction began first is told."""
    for held in seen.get("locks", ())[:1]:
        if held["longest_s"] < _WAITED_S:
            continue
        severity = "critical" if held["longest_s"] >= _LONG_S else "warning"
        many = f"{held['waiting']} session{'s wait' if held['waiting'] != 1 else ' waits'}"
        text = (
            f"{name}: {many} for a lock in {seen['database']}'s server, for up to {span(held['longest_s'])}; "
            f"{held['user']} from {held['address']} holds it, {held['state']}, in a transaction of {span(held['held_s'])}"
        )
        about = {"user": held["user"], "peer": held["address"], "count": held["waiting"], "state": held["state"]}
        yield finding(severity, "lock", text, name, name=name, database=seen["database"], **about)
