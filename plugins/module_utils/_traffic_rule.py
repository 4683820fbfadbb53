"""Limit new connections to this host's services, each source by itself: the work of role rate_limit, and its undo."""

from __future__ import annotations

from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _dead_man,
    _ledger,
    _rate_limit,
    _rule_removal,
    _ssh_session,
)
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import CatalogueError, services_of_host
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result, action, result

_NOTHING = "no service with ports on this host"
_TOO_LATE = "not confirmed in time: the host took the rules back"


def run(params: dict[str, Any], check_mode: bool) -> Result:
    """Limit this host's services that have ports (those in `only`, when it names any), or confirm the limits."""
    if params["state"] == "confirmed":
        return _confirm(params, check_mode)
    able, told = _rate_limit.families()
    session = _ssh_session.connection()
    services = [s for s in services_of_host(params) if s.get("ports") or params.get("only")]
    wanted = [(service["name"], *_ports(service, session)) for service in services]
    common = {"per_minute": params["per_minute"], "burst": params["burst"]}
    common["exempt"] = [*params["management_cidrs"], *params["exempt_cidrs"]]
    if problems := _rate_limit.problems(common):
        return result(params["capability"], [action("limit", "failed", "; ".join(problems))])
    if services and not able:
        refusal = f"{'; '.join(told)}. Fix: install iptables on this host"
        return result(params["capability"], [action("firewall", "refused", refusal)])
    rows: list[dict[str, Any]] = []
    diff: list[dict[str, Any]] = []
    for name, ports, spared in wanted:
        notes = [*told, *(f"port {port} is how this host is reached, and stays open" for port in spared)]
        if ports:
            row, changes = _limit(name, {**common, "ports": ports}, (params, session, able, notes), check_mode)
        else:
            row, changes = action(name, "skipped", "; ".join(notes[len(told) :]) or f"{name} has no ports"), []
        rows.append(row)
        diff += changes
    answer = result(params["capability"], rows, facts=_facts(params, rows), diff=diff, nothing=_NOTHING)
    missing = [text for text in told if "NOT" in text]
    return {**answer, "warnings": missing} if services and missing else answer


def take_away(entry: _ledger.Entry, check_mode: bool) -> tuple[str, bool]:
    """Remove what a `traffic_rule` entry put in, and its clocks; return what to tell, and whether it was verified.

    Rules that are gone already (a reboot, somebody else) count as removed. Raise OSError if anything remains.
    """
    undo, what = entry["undo"], f"{entry['capability']} of {entry['target']}"
    if check_mode:
        there = any(any(_rule_removal.left(undo, family)) for family in undo["families"])
        return f"{what} would be removed" if there else f"{what} is already gone", False
    there = _rule_removal.remove(undo)
    _dead_man.disarm(entry)
    return f"{what} removed" if there else f"{what} was already gone", True


def _limit(
    name: str, limit: dict[str, Any], here: tuple[dict[str, Any], str, list[str], list[str]], check_mode: bool
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the row of one service, and the diff of its rules."""
    params, session, able, notes = here
    undo = _rate_limit.undo(params["incident_id"], params["capability"], name, able)
    try:
        earlier = _ledger.latest_open(params, params["capability"], name)
        # Who was logged in when it was limited first stays exempt when somebody else runs it again.
        peers = sorted({*((earlier or {}).get("peers") or []), *filter(None, [_ssh_session.peer(session)])})
        limit = {**limit, "exempt": [*limit["exempt"], *peers]}
        before = {family: _rule_removal.saved(family, _rate_limit.TABLE) for family in able}
        if earlier and all(_rate_limit.in_place(undo, family, limit, before[family]) for family in able):
            return _standing(earlier, params, notes, check_mode), []
        diff = _diff(undo, limit, before)
        if check_mode:
            return action(name, "done", _told("would be limited", name, limit, notes, "")), diff
        if earlier and earlier["undo"] == undo:
            entry = _ledger.mark(earlier, "intended")
        else:
            entry = _ledger.intend(params, params["capability"], name, {"rules": _ours(undo, before)}, undo)
        entry = {**entry, "peers": peers, "ssh": session}
        return _load(entry, _deadlines(params), limit, before, notes), diff
    except OSError as error:
        return action(name, "failed", f"{name}: {error}"), []


def _load(
    entry: _ledger.Entry,
    deadlines: dict[str, int],
    limit: dict[str, Any],
    before: dict[str, list[str]],
    notes: list[str],
) -> dict[str, Any]:
    """Start the clocks, load the rules while they are held, and see them in place; what was half done is taken back."""
    name, undo = entry["target"], entry["undo"]
    try:
        entry = _dead_man.arm(entry, deadlines)
        if not entry["clock"]:
            _put_in(undo, limit, before)
        else:
            with _rule_removal.held(entry["clock"]["script"]) as armed:
                if not armed:
                    raise _rule_removal.RuleError("the host was too slow: the clock ran out before the rules were in")
                _put_in(undo, limit, before)
        entry = _ledger.mark(entry, "applied")
    except OSError as error:
        return action(name, "failed", f"{name}: {error}; {_given_up(entry)}", entry=entry["name"])
    summary = _told("limited", name, limit, notes, _until(entry)) + _ledger.caveat(entry)
    return action(name, "done", summary, entry=entry["name"], verified=True)


def _given_up(entry: _ledger.Entry) -> str:
    """Take back what an act that failed may have put in, an older limit in its place included; return what to tell."""
    try:
        _rule_removal.remove(entry["undo"])
        _dead_man.disarm(entry)
        _ledger.mark(entry, "lifted")
    except OSError as error:
        return f"taking it back failed, too: {error}"
    return "nothing of it was left in place"


def _put_in(undo: dict[str, Any], limit: dict[str, Any], before: dict[str, list[str]]) -> None:
    for family, lines in before.items():
        _rule_removal.restore(family, undo["table"], _rate_limit.load(undo, family, limit, lines))
    for family in before:
        if not _rate_limit.in_place(undo, family, limit, _rule_removal.saved(family, undo["table"])):
            raise _rule_removal.RuleError(f"{family}: the rules were loaded, but are not all there")


def _standing(entry: _ledger.Entry, params: dict[str, Any], notes: list[str], check_mode: bool) -> dict[str, Any]:
    """Return the row of a limit that is in place already; its clock is wound again when it has run half way."""
    name, wanted = entry["target"], params["expires_after"]
    if entry["state"] == "intended" and not check_mode:  # a run before this one was cut off just then
        entry = _ledger.mark(entry, "applied")
    late = entry["expires_at"] and _dead_man.remaining(entry["expires_at"]) < wanted / 2
    if not (wanted and (late or not _dead_man.runs(entry))):
        summary = "; ".join([f"{name} is limited already", *notes])
        return action(name, "unchanged", summary, entry=entry["name"], verified=True)
    if check_mode:
        return action(name, "done", f"{name} is limited already, and would stay so for longer")
    entry = _ledger.mark(_dead_man.prolong(entry, wanted), "applied")
    return action(name, "done", f"{name} stays limited{_until(entry)}", entry=entry["name"], verified=True)


def _confirm(params: dict[str, Any], check_mode: bool) -> Result:
    """Stop the clock that waits for a fresh login; return the rows of the act with what came of it."""
    rows = [dict(row) for row in params["acted"]]
    session = _ssh_session.connection()
    if not check_mode:
        waiting = [entry for entry in _open(params) if entry["confirm_by"]]
        told = {entry["name"]: _confirm_one(entry, session) for entry in waiting}
        known = {row.get("entry") for row in rows}
        rows += [
            action(e["target"], "unchanged", e["target"], entry=e["name"]) for e in waiting if e["name"] not in known
        ]
        standing = {entry["name"] for entry in _open(params)}
        rows = [_with(row, told, standing) for row in rows]
    return result(params["capability"], rows, facts=_facts(params, rows), nothing=_NOTHING)


def _confirm_one(entry: _ledger.Entry, session: str) -> tuple[bool, str]:
    """Return whether an entry is confirmed now, and what to tell."""
    if session and session == entry.get("ssh"):
        return False, "not confirmed: this is the login that the rules came by, which they may have spared"
    try:
        with _rule_removal.held(entry["clock"]["script"]) as armed:
            if not armed:
                return False, _TOO_LATE
            _dead_man.confirmed(entry)
    except OSError as error:
        return False, f"not confirmed: {error}"
    return True, "confirmed by a fresh login"


def _with(row: dict[str, Any], told: dict[str, tuple[bool, str]], standing: set[str]) -> dict[str, Any]:
    """Return the row of an act with what came of its confirmation."""
    if "entry" not in row:
        return row
    if row["entry"] in told:
        confirmed, text = told[row["entry"]]
    elif row["entry"] in standing:
        return row
    else:
        confirmed, text = False, _TOO_LATE
    return {**row, "outcome": row["outcome"] if confirmed else "failed", "summary": f"{row['summary']}; {text}"}


def _facts(params: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what is limited now, and which limits still wait for a fresh login."""
    try:
        entries = _open(params)
    except OSError:
        entries = []
    named = {row["target"] for row in rows}
    return {
        "limits": [_counted(entry) for entry in entries if entry["target"] in named],
        "to_confirm": [entry["target"] for entry in entries if entry["confirm_by"]],
    }


def _counted(entry: _ledger.Entry) -> dict[str, Any]:
    """Return how many requests to connect an entry's rules dropped so far, by family; None where nobody can tell."""
    held: dict[str, int | None] = {}
    for family in entry["undo"]["families"]:
        try:
            held[family] = _rate_limit.held_back(entry["undo"], family)
        except OSError:
            held[family] = None
    return {"service": entry["target"], "held_back": held, "expires_at": entry["expires_at"]}


def _open(params: dict[str, Any]) -> list[_ledger.Entry]:
    found, _unreadable = _ledger.entries(params)
    return [e for e in found if e["capability"] == params["capability"] and e["state"] != "lifted"]


def _ports(service: dict[str, Any], session: str) -> tuple[list[int], list[int]]:
    """Return the ports to limit, and those that are left alone because the host is reached by them."""
    own = {22, _ssh_session.server_port(session)}
    try:
        ports = sorted({int(port) for port in service.get("ports", [])})
    except (TypeError, ValueError):
        ports = [0]
    if not all(0 < port < 65536 for port in ports):
        raise CatalogueError(f"incident_services: {service['name']}: ports must be numbers from 1 to 65535")
    return [port for port in ports if port not in own], [port for port in ports if port in own]


def _deadlines(params: dict[str, Any]) -> dict[str, int]:
    wanted = {"confirm": params["confirm_within"], "expire": params["expires_after"]}
    return {which: seconds for which, seconds in wanted.items() if seconds > 0}


def _ours(undo: dict[str, Any], before: dict[str, list[str]]) -> dict[str, list[str]]:
    return {family: _rate_limit.own_lines(undo, lines) for family, lines in before.items()}


def _diff(undo: dict[str, Any], limit: dict[str, Any], before: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Return, for each family, our own lines of the table: those that are there and those to come."""
    return [
        {
            "before_header": f"{_rule_removal.SAVE[family]} -t {undo['table']}",
            "before": "".join(f"{line}\n" for line in _rate_limit.own_lines(undo, lines)),
            "after": "".join(
                f"{line}\n" for line in (*_rate_limit.rules(undo, family, limit), _rate_limit.jump(undo, limit))
            ),
        }
        for family, lines in before.items()
    ]


def _told(what: str, name: str, limit: dict[str, Any], notes: list[str], until: str) -> str:
    ports = ", ".join(map(str, limit["ports"]))
    rate = f"{limit['per_minute']} new connections a minute for each source, {limit['burst']} at once{until}"
    return "; ".join([f"{name} {what} on port {ports}: {rate}", *notes])


def _until(entry: _ledger.Entry) -> str:
    if not entry["expires_at"]:
        return ", until it is lifted"
    kept = " (this host has no systemd: a reboot stops the clock)" if entry["timer"] == "detached" else ""
    return f", until {entry['expires_at'][:16].replace('T', ' ')} UTC{kept}"
