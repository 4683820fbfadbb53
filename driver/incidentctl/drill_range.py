"""Which hosts drills may break: those that `drills.hosts` of incidentctl.yml names, and no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from incidentctl import drills, plan
from incidentctl.desk import Show
from incidentctl.drills import Drill, Script
from incidentctl.errors import ConfigurationError, RefusedError, UsageError
from incidentctl.plan import Inventory
from incidentctl.session import Session
from incidentctl.text import nearest


@dataclass(frozen=True)
class Range:
    """The hosts that may be broken, and how they are reached."""

    session: Session
    inventory: Inventory
    hosts: tuple[str, ...]
    show: Show

    def meant(self, script: Script) -> tuple[str, ...]:
        """The hosts that a script runs on. Raise UsageError if there is one that there is not."""
        return plan.narrow(self.inventory, ",".join(script.hosts))


def range_of(session: Session, show: Show) -> Range:
    """Read the inventory, and return the hosts that drills may break. Raise ConfigurationError or RefusedError."""
    drills.folder_of(session.settings)
    inventory, pattern = session.hosts(), session.settings.drills.hosts
    try:
        hosts = plan.narrow(inventory, pattern)
    except UsageError as error:
        what = "`drills.hosts` of incidentctl.yml does not say which hosts drills may break."
        raise ConfigurationError(what, "\n".join(filter(None, (error.what, error.why))), error.fix) from error
    ours = {inventory.machines.get(host, host): host for host in hosts}
    others = {host: inventory.machines.get(host, host) for host in inventory.hosts if host not in hosts}
    if twice := [f"{ours[place]} and {host} are both {place}" for host, place in others.items() if place in ours]:
        raise RefusedError(
            f"Drills may break {pattern}, and a machine of these has a second name, that they may not: nothing was done.",
            "\n".join(twice),
            "correct the address in the inventory, or leave one of the names out",
        )
    return Range(session, inventory, hosts, show)


def unless_elsewhere(site: Range, found: Mapping[str, Drill]) -> None:
    """Raise RefusedError if a drill would touch a host that may not be broken, before anything is done.

    Raise ConfigurationError if it names one that there is not.
    """
    unknown, wrong = [], []
    for name, drill in found.items():
        for script in drill.scripts():
            try:
                hosts = site.meant(script)
            except UsageError as error:
                unknown.append(f"{name}: {script.script.name}: {error.what.removeprefix('--limit ')}")
                continue
            wrong += [f"{name}: {host} is none of them" for host in hosts if host not in site.hosts]
        unknown += [
            f"{name}: right: there is no host {host!r}{nearest(host, site.inventory.hosts)}"
            for right in drill.right
            for host in right.hosts
            if host not in site.inventory.hosts
        ]
    if unknown:
        told = "\n".join(dict.fromkeys(unknown))
        raise ConfigurationError("Drills name hosts that there are not: nothing was done.", told, "correct drill.yml")
    if wrong:
        raise RefusedError(
            f"Drills may only break {site.session.settings.drills.hosts} (`drills.hosts` of incidentctl.yml): nothing was done.",
            "\n".join(dict.fromkeys(wrong)),
            "correct the drill's hosts; or, if they may be broken, drills.hosts",
        )
