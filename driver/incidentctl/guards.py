"""What is not done unless a person names the guard that refuses it. Pure: what is known of the hosts is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from incidentctl import event_data
from incidentctl.errors import RefusedError, UsageError
from incidentctl.incident import Data, Event
from incidentctl.outcome import SUCCESS
from incidentctl.plan import LIFTABLE, Inventory, PlannedStep
from incidentctl.settings import Guards
from incidentctl.text import nearest

NAMES = (
    "max_hosts_changed", "max_fraction_changed", "never_isolate", "controller", "last_instance", "stale_backup", "proxy",
)  # fmt: skip
# These take a service away from everybody: they stop it, or cut its host off.
ISOLATING = ("isolation", "quarantine")
# These restart a service on one host after the other, the sick ones first.
ROLLING = ("rollback", "hotfix", "restart")
# What changes the hosts that it is meant for; alerting rules change Prometheus.
CHANGING = (LIFTABLE - {"enhanced_monitoring"}) | {"restart"}
# A fraction of a small inventory says little: one host of two is already half.
FRACTION_FROM_HOSTS = 4
SICK, SILENT, CONTAINED = "is sick", "does not answer", "is contained already"
_STOPPING = (*ISOLATING, "scale_down")
_SHOWN = 8

Target = tuple[str, str, str]  # host, capability, service
Instance = tuple[str, str]  # host, service; "" for all that runs there


@dataclass(frozen=True)
class Known:
    """What is known before a step begins: which hosts are this machine, which instances do not serve, and what was seen there."""

    here: frozenset[str] = frozenset()
    out: Mapping[Instance, str] = field(default_factory=dict)
    # Whose rollback goes across a schema change: when all of its data was last in a verified backup, ISO 8601; None: never.
    backups: Mapping[Instance, str | None] = field(default_factory=dict)
    proxies: Mapping[Instance, str] = field(default_factory=dict)  # by whom most of its users come, as the host saw it
    now: datetime | None = None

    def why_out(self, host: str, service: str) -> str:
        """Return SICK, SILENT or CONTAINED; "" of what is well, or of which nothing is known."""
        return self.out.get((host, service)) or self.out.get((host, ""), "")


@dataclass(frozen=True)
class Refusal:
    """One guard that refuses, why, and what it would let nobody do."""

    guard: str
    told: str
    targets: frozenset[Target]

    @property
    def override(self) -> str:
        """The option that lifts it."""
        return f"--override {self.guard}"


def known_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of guards as they were typed. Raise UsageError if there is no such guard."""
    names = tuple(names)
    for name in names:
        if name not in NAMES:
            raise UsageError(
                f"No guard is named {name!r}{nearest(name, NAMES)}.", fix=f"choose from: {', '.join(NAMES)}"
            )
    return names


def refusals(steps: Iterable[PlannedStep], inventory: Inventory, limits: Guards, known: Known) -> tuple[Refusal, ...]:
    """Return every guard that refuses what these steps would do, all at once."""
    steps = tuple(steps)
    targets = [target for step in steps for target in _acts(step)]
    isolated = [target for target in targets if target[1] in ISOLATING]
    judged = (
        _hosts(targets, limits),
        _fraction(targets, limits, len(inventory.hosts)),
        _never(isolated, limits, inventory),
        _controller(isolated, known),
        _last(isolated, _rolling(steps), inventory, known),
        _stale([target for step in steps for target in step.targets if target[1] == "rollback"], limits, known),
        _proxy([target for target in targets if target[1] == "rate_limit"], known),
    )
    return tuple(refusal for refusal in judged if refusal is not None)


def isolated(steps: Iterable[PlannedStep]) -> set[str]:
    """Return the hosts on which something would be isolated: only of those it must be known whether they are this machine."""
    return {host for step in steps for host, capability, _ in step.targets if capability in ISOLATING}


def takes_away(steps: Iterable[PlannedStep]) -> bool:
    """Say whether a service may be gone from a host, be it for a moment: then it must be known how its others are."""
    return any(capability in (*ISOLATING, *ROLLING) for step in steps for _, capability, _ in step.targets)


def across_a_schema_change(rows: Iterable[Data], inventory: Inventory) -> dict[Instance, str | None]:
    """Given rows of prepare_rollback, return whose rollback goes across a schema change, with its last verified backup.

    Where nobody can tell, that counts as one, unless the catalogue names no migrations: then it is known of none.
    """
    declared = {s.name for s in inventory.services if "migrations" in (s.spec.get("releases") or {})}
    found: dict[Instance, str | None] = {}
    for row in rows:
        for name, facts in _services(row, "prepare_rollback"):
            if not isinstance(facts, Mapping):
                continue
            schema, at = facts.get("schema"), facts.get("backed_up_at")
            state = schema.get("state") if isinstance(schema, Mapping) else None
            if facts.get("feasible") and state != "none" and (name in declared or state in ("breaking", "compatible")):
                found[str(row["host"]), name] = at if isinstance(at, str) else None
    return found


def backed_up(rows: Iterable[Data]) -> dict[Instance, str]:
    """Given rows of backup, return when all data of each service was verified to be in one; only where all of it was."""
    found: dict[Instance, str] = {}
    for row in rows:
        for name, told in _services(row, "backup"):
            items = event_data.rows(told)
            times = [str(item.get("at")) for item in items if item.get("verified") is True]
            if times and len(times) == len(told):
                found[str(row["host"]), name] = min(times)
    return found


def _services(row: Data, capability: str) -> Iterator[tuple[str, Any]]:
    """Give what a row of this capability says of each service: of any shape, for a host may say anything."""
    facts = row.get("facts") if row.get("capability") == capability else None
    services = facts.get("services") if isinstance(facts, Mapping) else None
    yield from services.items() if isinstance(services, Mapping) else ()


def is_remembered(refusal: Refusal, overrides: Iterable[Data]) -> bool:
    """Say whether somebody has overridden this guard for all that it refuses here."""
    return any(
        row.get("guard") == refusal.guard and refusal.targets <= {tuple(target) for target in row.get("targets", ())}
        for row in overrides
    )


def refused(refusals: Iterable[Refusal], what: str, narrow: str, again: str) -> RefusedError:
    """Return the error that tells of all guards that refuse, and of both ways out."""
    refusals = tuple(refusals)
    several = "guards" if len(refusals) > 1 else "guard"
    options = " ".join(refusal.override for refusal in refusals)
    return RefusedError(
        f"{what} is refused by the {several} {', '.join(refusal.guard for refusal in refusals)}: nothing of it was done.",
        "\n".join(f"{refusal.guard}: {refusal.told}." for refusal in refusals),
        f"narrow it: {narrow}; or, if just that is meant: {again} {options}",
    )


def out(events: Iterable[Event]) -> dict[Instance, str]:
    """Given the events of open incidents in order of time, return the instances that do not serve, as last seen, and why."""
    seen: dict[Instance, str] = {}
    contained: dict[Instance, Instance] = {}
    for event in events:
        data = event.data
        host, entry = str(data.get("host")), (str(data.get("host")), str(data.get("entry")))
        if event.kind == "host_outcome" and data.get("capability") == "health_check":
            _look(seen, host, data)
        elif event.kind == "containment_applied" and data.get("capability") in _STOPPING:
            contained[entry] = (host, "" if data["capability"] == "quarantine" else str(data.get("target")))
        elif event.kind == "containment_lifted":
            contained.pop(entry, None)
    return seen | dict.fromkeys(contained.values(), CONTAINED)


def _look(seen: dict[Instance, str], host: str, row: Data) -> None:
    facts = row.get("facts")
    services = facts.get("services") if isinstance(facts, dict) else None
    if not isinstance(services, dict):
        if row.get("outcome") not in SUCCESS:
            seen[host, ""] = SILENT
        return
    seen.pop((host, ""), None)
    for name, health in services.items():
        if isinstance(health, dict) and health.get("healthy") is False:
            seen[host, name] = SICK
        else:
            seen.pop((host, name), None)


def _acts(step: PlannedStep) -> list[Target]:
    """What a step changes on which host. What a playbook of the user's own does is not known: so it is all of its hosts."""
    own = [name for name in step.capabilities if Path(name).is_absolute()]
    acts = [target for target in step.targets if target[1] in CHANGING]
    return acts + [(host, name, "") for name in own for host in step.hosts]


def _hosts(targets: list[Target], limits: Guards) -> Refusal | None:
    changed = _of(targets)
    if len(changed) <= limits.max_hosts_changed:
        return None
    told = f"{len(changed)} hosts would be changed, {limits.max_hosts_changed} may be: {_listed(changed)}"
    return Refusal("max_hosts_changed", told, frozenset(targets))


def _fraction(targets: list[Target], limits: Guards, total: int) -> Refusal | None:
    changed = _of(targets)
    if total < FRACTION_FROM_HOSTS or len(changed) <= total * limits.max_fraction_changed:
        return None
    part = f"{limits.max_fraction_changed:.0%}"
    told = f"{len(changed)} of the inventory's {total} hosts would be changed, {part} may be: {_listed(changed)}"
    return Refusal("max_fraction_changed", told, frozenset(targets))


def _never(isolated: list[Target], limits: Guards, inventory: Inventory) -> Refusal | None:
    protected = {host: _protection(host, limits, inventory) for host in _of(isolated)}
    meant = [target for target in isolated if protected[target[0]]]
    told = [f"{host} must never be isolated{by}" for host, by in protected.items() if by]
    return Refusal("never_isolate", "; ".join(told), frozenset(meant)) if meant else None


def _protection(host: str, limits: Guards, inventory: Inventory) -> str:
    groups = sorted({"all", *inventory.hosts.get(host, ())}.intersection(limits.never_isolate))
    if host in limits.never_isolate:
        return ", by its name"
    return f", as one of {groups[0]}" if groups else ""


def _controller(isolated: list[Target], known: Known) -> Refusal | None:
    meant = [target for target in isolated if target[0] in known.here]
    if not meant:
        return None
    told = f"{' and '.join(_of(meant))} is the machine that this runs on: what it needs itself may go"
    return Refusal("controller", told, frozenset(meant))


def _rolling(steps: Iterable[PlannedStep]) -> list[Target]:
    return [target for step in steps for target in step.targets if target[1] in ROLLING]


def _last(isolated: list[Target], rolling: list[Target], inventory: Inventory, known: Known) -> Refusal | None:
    """An essential service must keep an instance. Where all are known to be sick, there is nothing left to lose.

    What goes from host to host begins with the sick ones, and goes on to a healthy one only when one of them is well again.
    """
    told: list[str] = []
    meant: set[Target] = set()
    for service in inventory.services:
        mine = [t for t in rolling if t[2] == service.name]
        why = {host: known.why_out(host, service.name) for host in service.hosts}
        serving = [host for host in _of(mine) if host in why and not why[host]]
        others = [f"{host} {how}" for host, how in why.items() if how]
        first = any(why.get(host) == SICK for host in _of(mine))
        left = [host for host in service.hosts if host not in _of(mine) and not why[host]]
        if service.essential and len(serving) == 1 and others and not first and not left:
            text = f"{serving[0]} has the only instance of {service.name} that serves, and it would be restarted"
            told.append(f"{text}: {_listed(others)}")
            meant.update(mine)
    for service in inventory.services:
        mine = [t for t in isolated if t[0] in service.hosts and (t[1] == "quarantine" or t[2] == service.name)]
        gone = _of(mine)
        why = {host: known.why_out(host, service.name) for host in service.hosts}
        lost = [host for host in gone if why[host] not in (SICK, CONTAINED)]
        left = [host for host in service.hosts if host not in gone and not why[host]]
        if service.essential and lost and not left:
            others = [f"{host} {why[host]}" for host in service.hosts if host not in lost]
            text = f"nothing healthy of {service.name}, which is essential, would be left: {_listed(lost)} would go"
            told.append(text + (f", {_listed(others)}" if others else ""))
            meant.update(mine)
    return Refusal("last_instance", "; ".join(told), frozenset(meant)) if told else None


def _stale(rollbacks: list[Target], limits: Guards, known: Known) -> Refusal | None:
    """A release that is older than the schema may break data: there must be a way back to what is there now."""
    told: dict[str, list[str]] = {}
    meant: set[Target] = set()
    for host, capability, service in rollbacks:
        if (host, service) not in known.backups or known.now is None:
            continue
        age_s = event_data.seconds_between(known.backups[host, service], known.now.isoformat())
        if age_s is None or abs(age_s) > limits.max_backup_age:  # by a clock that is far ahead nothing is known
            when = (
                "" if age_s is None else f"{abs(age_s) / 3600:.0f} h {'ago' if age_s > 0 else 'from now, by its clock'}"
            )
            how = f"was last in a verified backup {when}" if when else "is in no verified backup"
            told.setdefault(f"{service} goes back across a schema change, and its data {how}", []).append(host)
            meant.add((host, capability, service))
    may = f"; it may be {limits.max_backup_age / 3600:g} h" if told else ""
    words = [f"{text} ({_listed(hosts)})" for text, hosts in told.items()]
    return Refusal("stale_backup", "; ".join(words) + may, frozenset(meant)) if meant else None


def _proxy(limited: list[Target], known: Known) -> Refusal | None:
    meant = [target for target in limited if (target[0], target[2]) in known.proxies]
    told = dict.fromkeys(f"{host}: {known.proxies[host, service]}" for host, _, service in meant)
    way = "if it attacks, override this guard; if it is a load balancer, name it in rate_limit_exempt_cidrs"
    return Refusal("proxy", f"{'; '.join(told)}: {way}", frozenset(meant)) if meant else None


def _of(targets: Iterable[Target]) -> list[str]:
    return sorted({host for host, _, _ in targets})


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
