"""Policy and inventory → what will be run where. Pure: no files, no hosts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from incidentctl import hosts as known_hosts
from incidentctl.errors import ConfigurationError, UsageError
from incidentctl.text import nearest

# What a severity may name under `contain`, and what each does to a host, in words for the plan.
CONTAINMENTS: Mapping[str, str] = {
    "backup": "back up the data and restore it elsewhere to prove it",
    "circuit_breaker": "open the circuit breakers that services declare",
    "enhanced_monitoring": "load alerting rules for the affected services into Prometheus",
    "isolation": "stop the affected services",
    "maintenance_mode": "switch the maintenance mode on",
    "prepare_rollback": "find the release to go back to and rehearse the switch",
    "quarantine": "cut the affected services' hosts off, but for those who manage them",
    "rate_limit": "limit new connections, each source by itself",
    "scale_down": "stop what is not essential",
}
# What `mitigate` may name, in words for the options: those, and what there is no taking back of.
MITIGATIONS: Mapping[str, str] = {**CONTAINMENTS, "restart": "restart it, and see health hold"}
# Those that change a host and are taken back by lift.
LIFTABLE = frozenset(
    {
        "circuit_breaker",
        "enhanced_monitoring",
        "isolation",
        "maintenance_mode",
        "quarantine",
        "rate_limit",
        "scale_down",
    }
)
# A severity may name it, too, though it changes nothing: nobody need be asked for it. (A backup takes time and room.)
READING = frozenset({"prepare_rollback"})
# These act on the affected services; the other containments on all services in the scope.
FOR_AFFECTED = ("enhanced_monitoring", "isolation", "maintenance_mode", "prepare_rollback", "quarantine", "rate_limit")
TRIAGE = ("health_check", "log_collection")
# What may be played by itself; `verdict` alone means nothing.
PLAYABLE = (*CONTAINMENTS, *TRIAGE, "diagnosis", "lift", "hotfix", "restart", "rollback")
_HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_KINDS = {str: "a string", bool: "true or false", list: "a list"}
_LITERALS = {"name": str, "hosts": str, "essential": bool, "user_facing": bool, "integrations": list}


class InventoryError(ConfigurationError):
    """The inventory cannot be used: its `problems`, a sentence each, and the `services` as it describes them."""

    def __init__(self, what: str, problems: tuple[str, ...], services: list[Any], fix: str) -> None:
        """Keep them apart, so that it can be said where each stands."""
        super().__init__(what, "\n".join(f"- {text}" for text in problems), fix)
        self.problems = problems
        self.services = services


@dataclass(frozen=True)
class Service:
    """One entry of the catalogue, with the hosts that run it."""

    name: str
    hosts: tuple[str, ...]
    essential: bool
    user_facing: bool
    integrations: tuple[str, ...]
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class Inventory:
    """The hosts with their groups, the services, and of each host the address that is told, its machine and place (hosts.py)."""

    hosts: Mapping[str, frozenset[str]]
    services: tuple[Service, ...]
    addresses: Mapping[str, str] = field(default_factory=dict)
    machines: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PlannedStep:
    """One phase: its capabilities, and for each the hosts and services it is meant for."""

    phase: str
    capabilities: tuple[str, ...]
    hosts: tuple[str, ...]
    targets: tuple[tuple[str, str, str], ...]  # (host, capability, service)


@dataclass(frozen=True)
class Plan:
    """What a run at this severity will do before it asks for a decision."""

    severity: str
    steps: tuple[PlannedStep, ...]

    @property
    def hash(self) -> str:
        """SHA-256 over the sorted targets: two plans that do the same have the same hash."""
        rows = sorted({target for step in self.steps for target in step.targets})
        return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()


def parse_inventory(listed: Mapping[str, Any]) -> Inventory:
    """Given what `ansible-inventory --list` printed, return the Inventory.

    Raise ConfigurationError, naming all errors at once: no hosts, a host name that could leave a folder,
    a catalogue that is missing, templated where it must be literal, or that names unknown hosts.
    """
    variables = (listed.get("_meta") or {}).get("hostvars") or {}
    hosts = _hosts_with_groups(listed)
    if not hosts:
        raise ConfigurationError("The inventory has no hosts.", fix="name an inventory with hosts: -i INVENTORY")
    problems = [f"host name {name!r} is not usable" for name in hosts if not _HOST_NAME.fullmatch(name)]
    # Ansible loses a host without a group that has the name of one.
    problems += [f"{name!r} is a host and also a group: rename one" for name in variables if name not in hosts]
    catalogue: dict[str, Mapping[str, Any]] = {}
    lists: list[list[Any]] = []  # of most sites the same one for all hosts
    for host in hosts:
        specs = (variables.get(host) or {}).get("incident_services")
        if specs is not None and not isinstance(specs, list):
            problems.append(f"{host}: incident_services must be a list of services")
        elif specs and specs not in lists:
            lists.append(specs)
    for specs in lists:
        problems += _list_problems(specs)
        for spec in specs:
            if isinstance(spec, dict):
                catalogue.setdefault(str(spec.get("name")), spec)
    services = [_service(spec, hosts) for spec in catalogue.values()]
    known = {"all", *hosts, *(group for groups in hosts.values() for group in groups)}
    for one in services:
        place = one.spec.get("hosts")
        if isinstance(place, str) and "{{" not in place and not one.hosts:
            problems.append(f"{one.name}: hosts: no host or group is named {place!r}{nearest(place, known)}")
    if not (catalogue or problems):
        problems.append("no host has incident_services, the catalogue of what runs where")
    if problems:
        raise InventoryError(
            "The inventory cannot be used.",
            tuple(dict.fromkeys(problems)),
            [spec for specs in lists for spec in specs],
            "mend incident_services in group_vars/all (docs/contracts.md, 1); a host's name has letters, digits, . _ and -, "
            "an address of another form is its ansible_host",
        )
    addresses = {
        host: str(variables[host]["ansible_host"]) for host in hosts if "ansible_host" in variables.get(host, {})
    }
    machines, places = (
        {host: told(host, variables.get(host) or {}) for host in hosts}
        for told in (known_hosts.machine, known_hosts.place)
    )
    return Inventory(hosts, tuple(sorted(services, key=lambda s: s.name)), addresses, machines, places)


def narrow(inventory: Inventory, limit: str | None) -> tuple[str, ...]:
    """Given an --limit pattern, return the hosts it means, in the inventory's order.

    Every part of the pattern must match something, excluded parts too: a misspelt `!typo` would act on
    hosts that were meant to be left alone. Raise UsageError before anything is connected to, also where two of
    the hosts are one machine, which would be acted on twice.
    """
    chosen = set(inventory.hosts) if limit is None else known_hosts.matching(inventory.hosts, limit)
    hosts = tuple(host for host in inventory.hosts if host in chosen)
    names: dict[str, list[str]] = {}
    for host in hosts:
        names.setdefault(inventory.machines.get(host, host), []).append(host)
    if twice := [f"{' and '.join(same)} are all {machine}" for machine, same in names.items() if len(same) > 1]:
        raise UsageError(
            "One machine has several names in the inventory, and would be acted on once for each.",
            "\n".join(twice),
            "choose one name of each with --limit, or leave the others out of the inventory",
        )
    return hosts


def in_scope(inventory: Inventory, hosts: Iterable[str], names: Iterable[str]) -> tuple[Service, ...]:
    """Return the services that run on these hosts; with `names`, only those. Raise UsageError if one is unknown."""
    hosts, names = set(hosts), tuple(names)
    known = {service.name for service in inventory.services}
    for name in names:
        if name not in known:
            raise UsageError(
                f"No service is named {name!r}{nearest(name, known)}.", fix=f"choose from: {', '.join(sorted(known))}"
            )
    meant = [s for s in inventory.services if hosts & set(s.hosts) and (not names or s.name in names)]
    if not meant:
        raise UsageError("No service of the catalogue runs on these hosts.", fix="widen --limit or --service")
    return tuple(meant)


def make(severity: str, contain: Iterable[str], hosts: tuple[str, ...], services: tuple[Service, ...]) -> Plan:
    """Given a severity's containment and the scope, return the Plan up to the decision."""
    steps = [step("triage", TRIAGE, hosts, services)]
    if contain := tuple(contain):
        steps.append(step("contain", contain, hosts, services))
    steps.append(step("diagnose", ("diagnosis",), hosts, services))
    return Plan(severity, tuple(steps))


def step(
    phase: str,
    capabilities: Iterable[str],
    hosts: tuple[str, ...],
    services: tuple[Service, ...],
    affected: Iterable[str] | None = None,
) -> PlannedStep:
    """Return one phase with its targets: each capability on each host for each service it is meant for.

    Once it is known which services are `affected`, what acts on those alone is planned for those alone.
    """
    capabilities = tuple(capabilities)
    sick = None if affected is None else set(affected)
    targets = tuple(
        (host, capability, service.name)
        for capability in capabilities
        for service in services
        for host in service.hosts
        if host in hosts and is_meant_for(capability, service)
        if sick is None or service.name in sick or capability not in FOR_AFFECTED
    )
    return PlannedStep(phase, capabilities, hosts, targets)


def is_meant_for(capability: str, service: Service) -> bool:
    """Say whether the capability has anything to do with the service, as the catalogue has it."""
    if capability == "scale_down":
        return not service.essential
    needs = {
        "backup": "data",
        "circuit_breaker": "circuit_breakers",
        "maintenance_mode": "maintenance",
        "prepare_rollback": "releases",
        "rollback": "releases",
        "hotfix": "releases",
        "restart": "manager",
        "rate_limit": "ports",
    }
    return capability not in needs or needs[capability] in service.spec


def _hosts_with_groups(listed: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    parents: dict[str, set[str]] = {}
    direct: dict[str, set[str]] = {}
    for group, content in listed.items():
        if group == "_meta" or not isinstance(content, dict):
            continue
        for child in content.get("children", []):
            parents.setdefault(child, set()).add(group)
        for host in content.get("hosts", []):
            direct.setdefault(host, set()).add(group)

    def ancestors(group: str) -> set[str]:
        found = {group}
        while more := {up for name in found for up in parents.get(name, ())} - found:
            found |= more
        return found

    return {
        host: frozenset(up for group in groups for up in ancestors(group)) for host, groups in sorted(direct.items())
    }


def _list_problems(specs: list[Any]) -> Iterator[str]:
    """Yield what is wrong with the keys that are read here, in the words of the collection's own schema (_catalogue.py)."""
    names = [spec.get("name") for spec in specs if isinstance(spec, dict)]
    for number, spec in enumerate(specs, 1):
        if not isinstance(spec, dict):
            yield f"entry {number} must be a mapping"
            continue
        label = spec.get("name", f"entry {number}")
        for key, kind in _LITERALS.items():
            value = spec.get(key)
            if key in ("name", "hosts") and key not in spec:
                yield f"{label}: {key} is missing"
            elif "{{" in str(value):
                yield f"{label}: {key} must be a literal, not a template"
            elif key in spec and not isinstance(value, kind):
                yield f"{label}: {key} must be {_KINDS[kind]}, not {value!r}"
    yield from (f"{name}: is there twice" for name in dict.fromkeys(map(str, names)) if names.count(name) > 1)


def _service(spec: Mapping[str, Any], hosts: Mapping[str, frozenset[str]]) -> Service:
    place = spec.get("hosts")
    return Service(
        name=str(spec["name"]) if "name" in spec else "?",
        hosts=tuple(host for host, groups in hosts.items() if place in {host, "all", *groups}),
        essential=spec.get("essential") is not False,
        user_facing=spec.get("user_facing") is True,
        integrations=tuple(str(name) for name in spec.get("integrations") or ()),
        spec=spec,
    )
