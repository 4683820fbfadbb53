"""How many rows a PostgreSQL database got since a moment that was noted, by the server's own statistics.

Rows that were inserted, updated or deleted count, also such as were rolled back; those of the server's catalogs do not, but for
large objects, which lie there. A TRUNCATE counts as none. A session tells what it wrote some seconds late.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import _postgresql
from ansible_collections.incidentctl.response.plugins.module_utils._postgresql import Place
from ansible_collections.incidentctl.response.plugins.module_utils._psql import Psql
from ansible_collections.incidentctl.response.plugins.module_utils._writes import ROWS, Writes

_CONNECT_S = 3
_STATEMENT_MS = 2000
# A transaction of its own, with which all settings end: behind a pooler the connection is the application's next.
# When the server crashes its statistics begin anew: of its own ones (bgwriter) it notes when, to the microsecond.
_ASK = f"""
BEGIN READ ONLY; SET LOCAL statement_timeout = {_STATEMENT_MS};
SELECT json_build_array(current_setting('track_counts'), array_to_string(ARRAY[d.datid::text,
  extract(epoch FROM d.stats_reset)::text, extract(epoch FROM b.stats_reset)::text], ' ', '-'),
  (d.tup_inserted + d.tup_updated + d.tup_deleted - coalesce((
    SELECT sum(s.n_tup_ins + s.n_tup_upd + s.n_tup_del) FROM pg_catalog.pg_stat_sys_tables s
    JOIN pg_catalog.pg_class c ON c.oid = s.relid
    WHERE NOT c.relisshared AND c.oid <> 'pg_catalog.pg_largeobject'::regclass), 0))::bigint)
FROM pg_catalog.pg_stat_database d, pg_catalog.pg_stat_bgwriter b WHERE d.datname = current_database();
COMMIT;
"""  # noqa: S608 - of our own words

Noted = dict[str, Any]


def note(place: Place, within_s: float) -> Noted:
    """Return what its writes can be counted from. Raise OSError if it cannot be asked, or counts nothing."""
    if reason := _postgresql.why_not(place, ("psql",)):
        raise OSError(reason)
    words = ("--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1")
    argv = ["env", f"PGCONNECT_TIMEOUT={_CONNECT_S}", *place.argv("psql", *words, database=place.database)]
    with Psql(argv, within_s) as psql:
        ((counting, life, count),) = psql.ask(_ASK)
    if counting != "on":
        raise OSError("the server counts no rows: track_counts is off")
    return {"life": str(life), "count": int(count)}


def since(place: Place, noted: Noted, within_s: float) -> Writes:
    """Return what came since it was noted. Raise OSError, which says why, if that cannot be told."""
    now = note(place, within_s)
    if now["life"] != noted["life"] or now["count"] < noted["count"]:
        raise OSError("the server's statistics began anew since, or it is another database")
    return Writes(now["count"] - noted["count"], ROWS)
