"""Put traffic rules in, under clocks, and take them out again: roles rate_limit, quarantine and circuit_breaker (its egress)."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from ansible_collections.incidentctl.response.plugins.module_utils import (
    _chain,
    _dead_man,
    _egress,
    _held_back,
    _ledger,
    _quarantine,
    _rate_limit,
    _rule_removal,
    _ssh_session,
)
from ansible_collections.incidentctl.response.plugins.module_utils._outcome import Result, action, between, result

KINDS = {"rate_limit": _rate_limit.KIND, "quarantine": _quarantine.KIND, "circuit_breaker": _egress.KIND}
_TOO_LATE = "not confirmed in time: the host took the rules back"
# The peer of the login, the addresses that a name has just now, the bridges of containers, what the kernel can do.
_OF_THE_MOMENT = ("exempt", "spared", "addresses", "bridges", "remember", "ended")
_LONGEST_S = 31536000  # a year
_LOOPBACK = {"ipv4": (socket.AF_INET, "127.0.0.1"), "ipv6": (socket.AF_INET6, "::1")}
_LOOPBACK_S = 2.0


def run(params: dict[str, Any], check_mode: bool) -> Result:
    """Put in what this host's services (those in `only`, when it names any) declare for the capability, or confirm it."""
    if params["state"] == "confirmed":
        return _confirm(params, check_mode)
    kind = KINDS[params["capability"]]
    session = _ssh_session.connection()
    here = _chain.Here(params, session, *kind.families())
    declared = kind.declared(params, session)
    if problems := [*_wrong_times(params), *kind.problems(params)]:
        return result(params["capability"], [action("rules", "failed", "; ".join(problems))])
    if declared and not here.able:
        refusal = f"{'; '.join(here.told)}. Fix: install iptables on this host"
        return result(params["capability"], [action("firewall", "refused", refusal)])
    rows: list[dict[str, Any]] = []
    diff: list[dict[str, Any]] = []
    for target, declaration in declared:
        row, changes = _act(kind, target, declaration, here, check_mode)
        rows.append(row)
        diff += changes
    answer = result(params["capability"], rows, facts=_facts(params, rows), diff=diff, nothing=kind.words.nothing)
    missing = [text for text in here.told if "NOT" in text and any(text in row["summary"] for row in rows)]
    return {**answer, "warnings": missing} if missing else answer


def take_away(entry: _ledger.Entry, check_mode: bool) -> tuple[str, bool]:
    """Remove what a `traffic_rule` entry put in, and its clocks; return what to tell, and whether it was verified.

    Rules that are gone already (a reboot, somebody else) count as removed. Raise OSError if anything remains.
    """
    undo, what = entry["undo"], f"{entry['capability']} of {entry['target']}"
    if check_mode:
        return f"{what} would be removed" if _rule_removal.there(undo) else f"{what} is already gone", False
    figures = _held_back.read(entry["undo"])
    held = _in_words(entry, figures)
    there, saved = _taken_back(entry)
    if there:
        entry["held_back"], entry["counted"] = held, {**_held_back.as_data(figures), "since": entry["at"]}
    return (f"{what} removed; it {held}" if there else f"{what} was already gone") + saved, True


def _taken_back(entry: _ledger.Entry) -> tuple[bool, str]:
    """Remove an entry's rules and clocks; return whether there were any, and what to tell of rules that somebody saved."""
    with _dead_man.held(entry):
        there = _rule_removal.remove(entry["undo"])
        files = _dead_man.put_away(entry)
    if not files:
        return there, ""
    chain = entry["undo"]["chains"][0]
    return there, (
        f"; {', '.join(files)} may bring it back, which this host takes out again ({chain}-sweep). "
        "Fix: save the host's rules anew"
    )


def _act(
    kind: _chain.Kind, target: str, declaration: Any, here: _chain.Here, check_mode: bool
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the row of one target, and the diff of its rules."""
    params = here.params
    try:
        earlier = _ledger.latest_open(params, params["capability"], target)
        wanted = kind.wanted(declaration, earlier, here)
        undo = _chain.undo(kind, params, target, wanted.families)
        before = {family: _rule_removal.saved(family, kind.table) for family in wanted.families}
        if earlier and all(_chain.in_place(kind, undo, f, wanted.spec, lines) for f, lines in before.items()):
            goal = _meant(wanted, params)
            return between(_standing(kind, earlier, params, wanted.notes, check_mode), goal, goal), []
        diff, ends = _diff(kind, undo, wanted.spec, before), (_own(undo, before), _meant(wanted, params))
        if check_mode:
            row = action(target, "done", _told(kind, f"would be {kind.words.done}", target, wanted, ""))
            return between({**row, **_proxy(wanted)}, *ends), diff
        if earlier and earlier["undo"] == undo:
            entry = _ledger.mark(earlier, "intended")
        else:
            prior = {"rules": {family: _chain.own_lines(undo, lines) for family, lines in before.items()}}
            entry = _ledger.intend(params, params["capability"], target, prior, undo)
        entry = {**entry, **wanted.kept, "ssh": here.session}
        return between(_load(kind, entry, _deadlines(params), wanted, before), *ends), diff
    except _chain.NotDone as why:
        return action(target, why.outcome, f"{kind.words.subject}{target}: {why}"), []
    except OSError as error:
        return action(target, "failed", f"{kind.words.subject}{target}: {error}"), []


def _load(
    kind: _chain.Kind,
    entry: _ledger.Entry,
    deadlines: dict[str, int],
    wanted: _chain.Wanted,
    before: dict[str, list[str]],
) -> dict[str, Any]:
    """Start the clocks, load the rules while they are held, and see them in place; what was half done is taken back."""
    target, undo = entry["target"], entry["undo"]
    try:
        entry = _dead_man.arm(entry, deadlines)
        if not entry["clock"]:
            _put_in(kind, undo, wanted.spec, before)
        else:
            with _dead_man.held(entry) as armed:
                if not armed:
                    raise _rule_removal.RuleError("the host was too slow: the clock ran out before the rules were in")
                _put_in(kind, undo, wanted.spec, before)
        entry = _ledger.mark(entry, "applied")
        finished = kind.finish(wanted.spec)
    except OSError as error:
        why = f"{kind.words.subject}{target}: {error}; {_given_up(entry)}"
        return action(target, "failed", why, entry=entry["name"])
    summary = _told(kind, kind.words.done, target, wanted, _until(entry)) + (f"; {finished}" if finished else "")
    summary += _ledger.caveat(entry)
    return action(target, "done", summary, entry=entry["name"], verified=True)


def _given_up(entry: _ledger.Entry) -> str:
    """Take back what an act that failed may have put in, an older limit in its place included; return what to tell."""
    try:
        _there, saved = _taken_back(entry)
        _ledger.mark(entry, "lifted")
    except OSError as error:
        return f"taking it back failed, too: {error}"
    return f"nothing of it was left in place{saved}"


def _put_in(kind: _chain.Kind, undo: dict[str, Any], spec: _chain.Spec, before: dict[str, list[str]]) -> None:
    loads = {family: _chain.load(kind, undo, family, spec, lines) for family, lines in before.items()}
    if astray := [line for lines in loads.values() for line in _chain.astray(undo, lines)]:
        raise _rule_removal.RuleError(f"nothing was loaded, for no lift would take this back: {'; '.join(astray)}")
    kind.begin(spec)
    for family, lines in loads.items():
        _rule_removal.restore(family, undo["table"], lines)
    for family in before:
        if not _chain.in_place(kind, undo, family, spec, _rule_removal.saved(family, undo["table"])):
            raise _rule_removal.RuleError(f"{family}: the rules were loaded, but are not all there")
        _rule_removal.remove_elsewhere(undo, family)


def _standing(
    kind: _chain.Kind, entry: _ledger.Entry, params: dict[str, Any], notes: list[str], check_mode: bool
) -> dict[str, Any]:
    """Return the row of what is in place already; its clock is wound again when it has run half way."""
    target, seconds = entry["target"], params["expires_after"]
    name, standing = f"{kind.words.subject}{target}", kind.words.standing
    if entry["state"] == "intended" and not check_mode:  # a run before this one was cut off just then
        entry = _ledger.mark(entry, "applied")
    late = entry["expires_at"] and _dead_man.remaining(entry["expires_at"]) < seconds / 2
    if not (seconds and (late or not _dead_man.runs(entry))):
        summary = "; ".join([f"{name} is {standing} already", _in_words(entry), *notes])
        return action(target, "unchanged", summary, entry=entry["name"], verified=True, news=True)
    if check_mode:
        return action(target, "done", f"{name} is {standing} already, and would stay so for longer")
    entry = _ledger.mark(_dead_man.prolong(entry, seconds), "applied")
    if not all(_chain.in_force(entry["undo"], family) for family in entry["undo"]["families"]):
        why = f"{name}: its time ran out just now; {_given_up(entry)}. Fix: run it again"
        return action(target, "failed", why, entry=entry["name"])
    return action(
        target,
        "done",
        f"{name} stays {standing}{_until(entry)}; {_in_words(entry)}",
        entry=entry["name"],
        verified=True,
    )


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
    nothing = KINDS[params["capability"]].words.nothing
    return result(params["capability"], rows, facts=_facts(params, rows), nothing=nothing)


def _confirm_one(entry: _ledger.Entry, session: str) -> tuple[bool, str]:
    """Return whether an entry is confirmed now, and what to tell."""
    if session and session == entry.get("ssh"):
        return False, "not confirmed: this is the login that the rules came by, which they may have spared"
    try:
        with _dead_man.held(entry) as armed:
            if not armed:
                return False, _TOO_LATE
            gone = not all(_chain.in_force(entry["undo"], family) for family in entry["undo"]["families"])
            if not gone and (cut := [family for family in entry["undo"]["families"] if _cut_off_from_itself(family)]):
                return False, f"not confirmed: this host no longer reaches itself over loopback ({', '.join(cut)})"
            if not gone:
                _dead_man.confirmed(entry)
    except OSError as error:
        return False, f"not confirmed: {error}"
    if gone:
        why = "the rules are not all there any more (this host was restarted, or somebody took them out)"
        return False, f"not confirmed: {why}; {_given_up(entry)}"
    return True, "confirmed by a fresh login"


def _cut_off_from_itself(family: str) -> bool:
    """Say whether this host has a loopback and cannot connect to itself over it."""
    version, address = _LOOPBACK[family]
    with contextlib.ExitStack() as stack:
        try:
            listener = stack.enter_context(socket.socket(version, socket.SOCK_STREAM))
            listener.bind((address, 0))
            listener.listen(1)
        except OSError:  # it has none
            return False
        caller = stack.enter_context(socket.socket(version, socket.SOCK_STREAM))
        caller.settimeout(_LOOPBACK_S)
        return caller.connect_ex(listener.getsockname()) != 0


def _with(row: dict[str, Any], told: dict[str, tuple[bool, str]], standing: set[str]) -> dict[str, Any]:
    """Return the row of an act with what came of its confirmation."""
    if "entry" not in row:
        return row
    if row["entry"] in told:
        confirmed, text = told[row["entry"]]
    elif row["entry"] in standing or row["outcome"] == "failed":  # what failed was taken back at once
        return row
    else:
        confirmed, text = False, _TOO_LATE
    return {**row, "outcome": row["outcome"] if confirmed else "failed", "summary": f"{row['summary']}; {text}"}


def _facts(params: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what is in place now, and what of it still waits for a fresh login."""
    try:
        entries = _open(params)
    except OSError:
        entries = []
    words = KINDS[params["capability"]].words
    named = {row["target"] for row in rows}
    return {
        words.fact: [
            {words.target: entry["target"], **_counted(entry)} for entry in entries if entry["target"] in named
        ],
        "to_confirm": [entry["target"] for entry in entries if entry["confirm_by"]],
    }


def _counted(entry: _ledger.Entry) -> dict[str, Any]:
    """Return how many packets an entry's rules held back so far, by family, and of how many sources, where that is known."""
    figures = _held_back.read(entry["undo"])
    counted = {**_held_back.as_data(figures), "since": entry["at"]}
    return {
        "held_back": figures.packets,
        "sources": figures.sources,
        "expires_at": entry["expires_at"],
        "entry": entry["name"],
        "counted": counted,
    }


def _in_words(entry: _ledger.Entry, figures: _held_back.Figures | None = None) -> str:
    capability = entry["capability"]
    figures = _held_back.read(entry["undo"]) if figures is None else figures
    return _held_back.told(figures, KINDS[capability].words.counted, by_source=capability == "rate_limit")


def _open(params: dict[str, Any]) -> list[_ledger.Entry]:
    """Return this capability's open entries that are traffic rules; a circuit breaker may be an endpoint, too."""
    found, _unreadable = _ledger.entries(params)
    ours = [e for e in found if (e["capability"], e["undo"].get("kind")) == (params["capability"], "traffic_rule")]
    return [entry for entry in ours if entry["state"] != "lifted"]


def _wrong_times(params: dict[str, Any]) -> list[str]:
    keys = ("expires_after", "confirm_within")
    return [f"{key} must be from 0 to {_LONGEST_S} seconds" for key in keys if not 0 <= params[key] <= _LONGEST_S]


def _deadlines(params: dict[str, Any]) -> dict[str, int]:
    wanted = {"confirm": params["confirm_within"], "expire": params["expires_after"]}
    return {which: seconds for which, seconds in wanted.items() if seconds > 0}


def _diff(
    kind: _chain.Kind, undo: dict[str, Any], spec: _chain.Spec, before: dict[str, list[str]]
) -> list[dict[str, Any]]:
    """Return, for each family, our own lines of the table: those that are there and those to come."""
    return [
        {
            "before_header": f"{_rule_removal.SAVE[family]} -t {undo['table']}",
            "before": "".join(f"{line}\n" for line in _chain.own_lines(undo, lines)),
            "after": "".join(f"{line}\n" for line in _chain.content(kind, undo, family, spec)),
        }
        for family, lines in before.items()
    ]


def _own(undo: dict[str, Any], before: dict[str, list[str]]) -> dict[str, str] | None:
    """Return what tells our own rules of each family from others, without counters; None where there are none."""
    found = {family: _chain.own_lines(undo, lines) for family, lines in before.items()}
    return {family: _chain.short(*lines) for family, lines in found.items() if lines} or None


def _meant(wanted: _chain.Wanted, params: dict[str, Any]) -> dict[str, Any]:
    """Return what the rules are to be, whoever has them put in: without what comes with a login, or the moment."""
    spec = {key: value for key, value in wanted.spec.items() if key not in _OF_THE_MOMENT}
    spared = sorted({*params["management_cidrs"], *params["exempt_cidrs"]})
    return {**spec, "spared": spared, "families": wanted.families}


def _proxy(wanted: _chain.Wanted) -> dict[str, str]:
    """Return who most users come by, for a guard to judge before it is done."""
    return {"proxy": wanted.kept["proxy"]} if "proxy" in wanted.kept else {}


def _told(kind: _chain.Kind, what: str, target: str, wanted: _chain.Wanted, until: str) -> str:
    return "; ".join([f"{kind.words.subject}{target} {what} {kind.told(wanted.spec)}{until}", *wanted.notes])


def _until(entry: _ledger.Entry) -> str:
    if not entry["expires_at"]:
        return ", until it is lifted"
    kept = " (this host has no systemd: a reboot stops the clock)" if entry["timer"] == "detached" else ""
    return f", until {entry['expires_at'][:16].replace('T', ' ')} UTC{kept}"
