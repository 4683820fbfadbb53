"""Whether a database of this host is short of connections, and who holds them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils._finding import Finding, finding, span

_NEARLY_ALL = 0.9


def of_databases(name: str, facts: Mapping[str, Any]) -> Iterator[Finding]:
    """Given the facts of a service, say which of its databases has few connections left, or none."""
    for seen in facts.get("databases", ()):
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
