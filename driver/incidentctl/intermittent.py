"""What a service needed in vain when triage looked, and had when the diagnosis did: it fails now and then. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from incidentctl import event_data

_ABOUT = ("name", "check", "detail", "failing", "host", "port", "resolver", "latency_ms")  # as of one that fails now


def dependencies(
    hosts: Mapping[str, Mapping[str, Any]], triage: Iterable[Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """Given each host's facts of a diagnosis, return them with a finding more for each dependency that failed in triage.

    `triage` is what the record has of how that ended, a row for each host and capability. A look that comes just when
    a dependency answers would hide what every other user meets.
    """
    found = dict(hosts)
    for row in triage:
        if row.get("capability") == "health_check" and (host := str(row.get("host"))) in found:
            facts = found[host]
            more = list(_failed_before(facts, _mapping(row.get("facts"))))
            found[host] = {**facts, "findings": [*event_data.rows(facts.get("findings")), *more]}
    return found


def _failed_before(now: Mapping[str, Any], before: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    services = _mapping(now.get("services"))
    for name, look in _mapping(before.get("services")).items():
        health = _mapping(_mapping(services.get(name)).get("health"))
        well = [row.get("name") for row in event_data.rows(health.get("depends_on")) if row.get("ok") is True]
        for row in event_data.rows(_mapping(look).get("depends_on")):
            if row.get("ok") is False and row.get("name") in well:
                text = (
                    f"{name}: its dependency {row['name']} ({row.get('check')}) fails now and then: {row.get('detail')}"
                )
                about = {key: row[key] for key in _ABOUT if row.get(key) is not None}
                yield {"severity": "warning", "kind": "dependency", "text": text, "service": name, "about": about}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
