"""What exactly a person approves: each target with what is there and what is to be there, under one hash; and who did. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from incidentctl.errors import UsageError
from incidentctl.incident import Data, Incident
from incidentctl.outcome import SUCCESS, HostOutcome
from incidentctl.plan import LIFTABLE

SHORT = 12
_LEAST = 8  # characters of a hash that tell it from others
_SHOWN = 8  # hosts on a line
_ENDS = ("before", "after")
_TARGET = ("host", "capability", "target")
_Target = tuple[str, str, str]


def plan_of(rows: Iterable[HostOutcome], hosts: Iterable[str], capabilities: Iterable[str]) -> Data:
    """Given what a check said of these hosts and capabilities, return the plan as the record keeps it.

    {hash, rows: [{host, capability, target, before, after, before_sha, after_sha}], obstacles: [words], silent: {host: why},
    proxies: [[host, target, words]], besides: [capabilities]}. `besides` are those that would do something of which nothing is
    told from where to where, as a backup; `skipped` says of each that every host skips why.
    """
    meant = (set(hosts), set(capabilities))
    mine = [row for row in rows if row.host in meant[0] and row.capability in meant[1]]
    obstacles = [
        f"{row.host}: {action['summary']}"
        for row in mine
        for action in row.actions
        if action["outcome"] in ("refused", "failed")
    ]
    obstacles += [f"{row.host}: {row.reason}" for row in mine if row.outcome == "failed" and not row.actions]
    silent = {row.host: f"{row.outcome}: {row.reason}" for row in mine if is_away(row)}
    proxies = [[r.host, action["target"], action["proxy"]] for r in mine for action in r.actions if action.get("proxy")]
    besides = sorted(
        row.capability
        for row in mine
        for action in row.actions
        if action["outcome"] == "done" and "after" not in action and row.capability not in LIFTABLE
    )
    told = {"obstacles": obstacles, "silent": silent, "proxies": proxies, "besides": list(dict.fromkeys(besides))}
    return with_hash(_targets(mine), **told, skipped=list(_skipped(mine)))


def _skipped(rows: Sequence[HostOutcome]) -> Iterator[str]:
    """Give each capability that every host skips, with the reasons that they give. That some do is how it is meant."""
    for capability in dict.fromkeys(row.capability for row in rows):
        mine = [row for row in rows if row.capability == capability]
        if any(row.outcome != "skipped" for row in mine):
            continue
        for reason in dict.fromkeys(row.reason for row in mine):
            hosts = [row.host for row in mine if row.reason == reason]
            yield f"{few(hosts)}: {capability} is skipped: {reason or 'no reason is given'}"


def plan_of_playbooks(digests: Mapping[str, str], hosts: Iterable[str]) -> Data:
    """Given the SHA-256 of playbooks of the user's own by name, return their plan: what they come to is not known."""
    rows = [
        {"host": host, "capability": name, "target": name, "before": "unknown", "after": {"playbook": digest}}
        for host in hosts
        for name, digest in digests.items()
    ]
    return with_hash(rows, obstacles=[], silent={})


def with_hash(rows: Iterable[Mapping[str, Any]], **more: Any) -> Data:
    """Return a plan of these rows: its hash is over the sorted set of {host, capability, target, before_sha, after_sha}."""
    told = sorted((dict(row) for row in rows), key=_target)
    for row in told:
        row.update({f"{end}_sha": digest(row[end]) for end in _ENDS})
    return {
        "hash": digest(sorted({(*_target(r), r["before_sha"], r["after_sha"]) for r in told})),
        "rows": told,
        **more,
    }


def digest(value: Any) -> str:
    """Return the SHA-256 of a value, written in the one way that there is for it."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def is_away(row: HostOutcome) -> bool:
    """Say whether a check did not come to a host, or not to its end there."""
    return row.outcome in ("unreachable", "unknown", "not_attempted")


def impossible(plan: Data | None) -> str:
    """Return why nothing of a plan would be done, as the hosts say; "" where something would, or nobody knows."""
    if plan is None or plan["silent"] or plan.get("besides") or not all(map(_is_there, plan["rows"])):
        return ""
    if plan["obstacles"] and not plan["rows"]:
        return "; ".join(plan["obstacles"])
    skipped = plan.get("skipped", ())
    if not plan["rows"] and not skipped:
        return ""  # nobody said anything; what a guard refuses is another matter
    return f"nothing to do: {'; '.join([*lines({**plan, 'refused': {}}), *skipped])}"


def is_meant(plan: Data | None, typed: str) -> bool:
    """Say whether a person who typed the beginning of a hash meant this plan. Raise UsageError if it is none."""
    word = typed.strip().lower()
    if len(word) < _LEAST or not re.fullmatch("[0-9a-f]{1,64}", word):
        raise UsageError(
            f"{typed!r} is not the hash of a plan.", fix=f"its first {_LEAST} characters or more, as they are shown"
        )
    return plan is not None and str(plan["hash"]).startswith(word)


def differences(approved: Data, now: Data, hosts: Iterable[str], begun: bool) -> list[str]:
    """Return, in a line each, how a plan is another than the one that was approved, on these hosts.

    `begun` says that the decision has begun to be carried out: then what is at its end is no difference, nor is a containment
    that is half there, for it leads to the same end.
    """
    meant = set(hosts) - set(now["silent"])
    then, today = ({_target(r): r for r in p["rows"] if r["host"] in meant} for p in (approved, now))
    why = {text.partition(": ")[0]: text.partition(": ")[2] for text in now["obstacles"]}
    return [
        text
        for key in sorted({*then, *today})
        for text in _difference(key, then.get(key), today.get(key), begun, why.get(key[0], ""))
    ]


def lines(plan: Data) -> list[str]:
    """Return a plan in words, a line for each target that would change or is so already, then what stands in the way."""
    found: dict[str, list[str]] = {}
    for row in plan["rows"]:
        found.setdefault(f"{row['capability']} of {row['target']}: {_ends(row)}", []).append(str(row["host"]))
    told = [f"{few(hosts)}: {text}" for text, hosts in found.items()]
    told += [f"{text} (nothing is done there)" for text in plan["obstacles"]]
    told += [f"{host}: not looked at: {why.removeprefix('not_attempted: ')}" for host, why in plan["silent"].items()]
    refused = plan.get("refused", {}).items()
    return told + [f"refused by the guard {guard}: {why} (--override {guard})" for guard, why in refused]


def awaited(incident: Incident) -> tuple[str, str]:
    """Return whose approvals are waited for, in words, and what another person types."""
    made, who = incident.decision or {}, people(incident)
    option = f"custom --playbook {made['playbook']}" if made.get("option") == "custom" else str(made.get("option"))
    named = f" --plan {str(made['plan'])[:SHORT]}" if made.get("plan") else ""
    told = f"{option}: {len(who)} of {made.get('approvals')} approvals, by {' and '.join(who)}"
    return told, f"incidentctl decide {incident.incident_id} {option}{named}"


def short(plan: Data | None) -> str:
    """Return what a person types to name a plan; "" where there is none."""
    return "" if plan is None else str(plan["hash"])[:SHORT]


def people(incident: Incident) -> tuple[str, ...]:
    """Return who approved what was decided, the one who decided it first: a user on two machines is one person."""
    decision = incident.decision
    if decision is None:
        return ()
    also = [row for row in incident.approvals if row.get("decision") == decision["seq"]]
    return tuple(dict.fromkeys(person(str(row["actor"])) for row in (decision, *also)))


def missing(incident: Incident) -> int:
    """Return how many more people must approve what was decided before it is carried out."""
    needed = int((incident.decision or {}).get("approvals", 1))
    return max(0, needed - len(people(incident))) if incident.decision is not None else 0


def person(actor: str) -> str:
    """Return who logged in, of `user@host` or `user as other@host` (identity.py): on whatever host, as whomever they act."""
    return (actor.rpartition("@")[0] or actor).partition(" as ")[0]


def _targets(rows: Iterable[HostOutcome]) -> Iterator[Data]:
    for row in rows:
        for action in row.actions:
            if "after" in action and action["outcome"] in SUCCESS:
                told = {"host": row.host, "capability": row.capability, "target": action["target"]}
                yield {**told, **{end: action[end] for end in _ENDS}}


def _target(row: Mapping[str, Any]) -> _Target:
    host, capability, target = (str(row[key]) for key in _TARGET)
    return host, capability, target


def _difference(key: _Target, then: Data | None, now: Data | None, begun: bool, why: str) -> Iterator[str]:
    host, capability, target = key
    what = f"{host}: {capability} of {target}"
    if then is None:
        yield f"{what} would be done now, and was not among what was approved"
    elif now is None:
        yield f"{what} cannot be done now" + (f": {why}" if why else ", though it was approved")
    elif begun and _leads_there(then, now, capability):
        return
    else:
        for end, verb in (("before", "is at"), ("after", "would go to")):
            if then[f"{end}_sha"] != now[f"{end}_sha"]:
                yield f"{host}: {target} {verb} {_in_words(now[end])} now, {_in_words(then[end])} when it was approved"


def _leads_there(then: Data, now: Data, capability: str) -> bool:
    return bool(then["after_sha"] == now["after_sha"]) and (_is_there(now) or capability in LIFTABLE)


def _ends(row: Data) -> str:
    before, after = _in_words(row["before"]), _in_words(row["after"])
    return f"{after} already" if _is_there(row) else f"{before} → {after}"


def _is_there(row: Data) -> bool:
    """Say whether a target is at its end before anything is done."""
    return bool(row["before_sha"] == row["after_sha"])


def _in_words(fact: Any) -> str:
    """Say what is at one end: a release by its name, else what there is, in few words."""
    if not isinstance(fact, dict):
        return "nothing" if fact is None else str(fact)
    words = next((words for key, words in _WORDS.items() if key in fact), _each)
    return words(fact)


def _release(fact: Data) -> str:
    if "command" in fact:
        return f"what {' '.join(map(str, fact['command']))} brings ({digest(fact)[:SHORT]})"
    if "built_from" in fact:
        return f"{fact['release']} (built from {str(fact['built_from'])[:SHORT]})"
    image = str(fact.get("image", "")).removeprefix("sha256:")[:SHORT]
    return f"{fact['release']} ({image})" if image else str(fact["release"])


def _rules(fact: Data) -> str:
    return f"rules {str(fact['rules'])[:SHORT]}" if fact["rules"] else "no rules"


def _each(fact: Data) -> str:
    told = {key: value for key, value in fact.items() if value not in ([], None, "")}
    return ", ".join(f"{key} {_listed(value)}" for key, value in told.items())


# By the key that tells one kind of fact from another (docs/contracts.md, 3).
_WORDS: Mapping[str, Callable[[Data], str]] = {
    "release": _release,
    "runs": lambda fact: f"runs {', '.join(fact['runs'])}" if fact["runs"] else "stopped",
    "restarted": lambda fact: f"{', '.join(fact['parts'])}, restarted" if fact["restarted"] else "as it is",
    "on": lambda fact: {True: "on", False: "off"}.get(fact["on"], "unknown"),
    "rules": _rules,
    "playbook": lambda fact: f"playbook {str(fact['playbook'])[:SHORT]}",
}


def few(hosts: list[str]) -> str:
    """Return the hosts that there is room for on a line, and how many more there are."""
    more = f" and {len(hosts) - _SHOWN} more" if len(hosts) > _SHOWN else ""
    return ", ".join(hosts[:_SHOWN]) + more


def _listed(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
