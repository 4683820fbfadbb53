"""Who holds the connections and the locks of a PostgreSQL database of this host: asked as `data` of a service says."""

from __future__ import annotations

import shutil
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _parallel, _postgresql
from ansible_collections.incidentctl.response.plugins.module_utils._psql import Psql
from ansible_collections.incidentctl.response.plugins.module_utils._text import clean

WITHIN_S = 5.0
_GRACE_S = 2.0
_SHOWN, _CHARS = 5, 100
# An administrator gets in when nobody else does: some places are kept for those, and do not count here.
_ASK = """
SELECT json_build_array(current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int);
SELECT json_build_array(usename, coalesce(host(client_addr), 'this host'), coalesce(state, 'unknown'), count(*),
  round(max(extract(epoch FROM now() - state_change))))
FROM pg_catalog.pg_stat_activity WHERE datid IS NOT NULL AND pid <> pg_backend_pid()
GROUP BY usename, client_addr, state ORDER BY count(*) DESC, usename;
"""
# Of those that wait for a lock the first fifty, and who keeps them from it and waits for nobody.
_ASK_LOCKS = """
WITH waiting AS (
  SELECT pid, extract(epoch FROM clock_timestamp() - query_start) AS for_s FROM pg_catalog.pg_stat_activity
  WHERE wait_event_type = 'Lock' ORDER BY query_start LIMIT 50
)
SELECT json_build_array(a.usename, coalesce(host(a.client_addr), 'this host'), coalesce(a.state, 'unknown'),
  (SELECT count(*) FROM waiting), (SELECT round(max(for_s)) FROM waiting),
  round(extract(epoch FROM clock_timestamp() - a.xact_start)))
FROM pg_catalog.pg_stat_activity a
WHERE a.wait_event_type IS DISTINCT FROM 'Lock'
  AND a.pid IN (SELECT unnest(pg_catalog.pg_blocking_pids(pid)) FROM waiting)
ORDER BY a.xact_start LIMIT 5;
"""

Seen = dict[str, Any]


def look(services: list[dict[str, Any]]) -> dict[str, tuple[list[Seen], list[str]]]:
    """Given services, return by name what their databases' connections are, and what could not be asked.

    Each is {database, used, max, clients: [{user, address, state, count, longest_s}], locks: [{user, address, state, waiting,
    longest_s, held_s}]}, the most first, of locks who has been at it for the longest. Five seconds at most.
    """
    items = [
        (service["name"], item)
        for service in services
        for item in service.get("data", [])
        if item["kind"] == "postgresql"
    ]
    answers = _parallel.each(_ask, [item for _name, item in items], WITHIN_S + _GRACE_S)
    found: dict[str, tuple[list[Seen], list[str]]] = {}
    for (name, item), answer in zip(items, answers):
        seen, notes = found.setdefault(name, ([], []))
        if isinstance(answer, dict):
            seen.append(answer)
        else:
            why = answer or "no answer in time"
            notes.append(f"connections of {item['database']} were not counted: {why}")
    return found


def _ask(item: dict[str, Any]) -> Seen | str:
    place = _postgresql.Place.of(item)
    words = ("--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1")
    argv = place.argv("psql", *words, database=str(item["database"]))
    missing = [tool for tool in (argv[0], "psql") if shutil.which(tool) is None]
    if missing:
        return f"{missing[0]} is not on this host"
    try:
        with Psql(argv, WITHIN_S) as psql:
            (most,), *rows = psql.ask(_ASK)
            held = psql.ask(_ASK_LOCKS)
    except (OSError, ValueError) as error:
        return clean(str(error), _CHARS)
    clients = [
        {
            "user": clean(str(user), _CHARS),
            "address": str(address),
            "state": str(state),
            "count": int(count),
            "longest_s": longest_s,
        }
        for user, address, state, count, longest_s in rows
    ]
    used = sum(client["count"] for client in clients)
    locks = [
        {
            "user": clean(str(user), _CHARS),
            "address": str(address),
            "state": str(state),
            "waiting": int(waiting),
            "longest_s": longest_s or 0,
            "held_s": held_s or 0,
        }
        for user, address, state, waiting, longest_s, held_s in held
    ]
    seen = {"database": str(item["database"]), "used": used, "max": int(most), "clients": clients[:_SHOWN]}
    return {**seen, "locks": locks}
