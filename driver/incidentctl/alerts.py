"""Alertmanager's webhook (version "4") → what it says, and what of the inventory it concerns. Pure.

Whoever writes alerting rules, and whatever fills their labels, wrote this text: it is made plain and cut here, compared
with names of the inventory, and never given to Ansible, a shell or a template.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from incidentctl.incident import SEVERITIES, SEVERITY_ALIASES
from incidentctl.plan import Inventory, Service
from incidentctl.settings import Alerts
from incidentctl.text import plain

VERSION = "4"
SERVICE_LABELS = ("service", "app", "application", "job")
HOST_LABELS = ("instance", "host", "hostname", "node", "nodename")
_TEXTS = ("summary", "description", "message")  # annotations that say what is wrong, the shortest first
_TITLE = 200  # characters
_WORD = 100
_NAMED = 20  # alerts of one notification that the record names; the rest is counted


class NotUnderstood(ValueError):
    """This is no notification of Alertmanager; the message says on one line why."""


@dataclass(frozen=True)
class Alert:
    """One alert; `since` is an aware time, or None where it says none."""

    name: str
    firing: bool
    severity: str
    instance: str
    text: str
    since: datetime | None
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Notification:
    """One group of alerts; `group` is the SHA-256 of its groupKey, the same at every repetition."""

    group: str
    firing: bool
    alerts: tuple[Alert, ...]
    truncated: int

    def meant(self) -> tuple[Alert, ...]:
        """The alerts that it is about: those that fire, or all once none does."""
        return tuple(alert for alert in self.alerts if alert.firing) or self.alerts


@dataclass(frozen=True)
class Scope:
    """The services and hosts that an incident is about; `affected` are the services that the labels name."""

    services: tuple[Service, ...]
    hosts: tuple[str, ...]
    affected: tuple[str, ...]


def parse(payload: Any) -> Notification:
    """Given the JSON document that Alertmanager posts, return what it says. Raise NotUnderstood."""
    whole = _mapping(payload, "the document")
    if whole.get("version") != VERSION:
        raise NotUnderstood(f'version must be "{VERSION}"')
    key, status, alerts = whole.get("groupKey"), whole.get("status"), whole.get("alerts")
    if not isinstance(key, str) or not key:
        raise NotUnderstood("groupKey must be a text")
    if status not in ("firing", "resolved"):
        raise NotUnderstood("status must be firing or resolved")
    if not isinstance(alerts, list) or not alerts:
        raise NotUnderstood("alerts must be a list with at least one alert")
    more = whole.get("truncatedAlerts", 0)
    return Notification(
        group=hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest(),
        firing=status == "firing",
        alerts=tuple(_alert(entry, f"alerts[{number}]") for number, entry in enumerate(alerts)),
        truncated=more if isinstance(more, int) else 0,
    )


def severity(told: Notification, policy: Alerts) -> str:
    """Return the highest severity among the alerts; one whose label says none that is known counts as `policy` says."""
    table = {label.strip().lower(): name for label, name in policy.severities.items()}
    found = [_severity(alert.severity, table, policy.severity) for alert in told.meant()]
    return min(found, key=SEVERITIES.index)


def scope(told: Notification, inventory: Inventory) -> Scope:
    """Return the services that the labels name, wherever they run; else all on the hosts that they name; else all."""
    services, hosts = named(told, inventory)
    if services:
        meant = tuple(service for service in inventory.services if service.name in services)
        return Scope(meant, _running(meant, inventory.hosts), services)
    here = tuple(service for service in inventory.services if set(hosts) & set(service.hosts))
    if here:
        return Scope(here, _running(here, hosts), ())
    return Scope(inventory.services, _running(inventory.services, inventory.hosts), ())


def named(told: Notification, inventory: Inventory) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the services and the hosts of the inventory whose names, or addresses, stand in the labels."""
    words = {alert.labels[label].strip() for alert in told.meant() for label in SERVICE_LABELS if label in alert.labels}
    places = {host_of(alert.labels[label]) for alert in told.meant() for label in HOST_LABELS if label in alert.labels}
    services = tuple(service.name for service in inventory.services if service.name in words)
    known = {host: {host.lower(), inventory.addresses.get(host, host).lower()} for host in inventory.hosts}
    return services, tuple(host for host in inventory.hosts if known[host] & places)


def concerned(told: Notification, inventory: Inventory) -> frozenset[str]:
    """Return the hosts that it speaks of: those that its alerts name, if each names one; else all that may be meant."""
    each = [named(replace(told, alerts=(alert,)), inventory)[1] for alert in told.meant()]
    return frozenset(host for hosts in each for host in hosts) if all(each) else frozenset(scope(told, inventory).hosts)


def title(told: Notification) -> str:
    """Return what an incident is called after it: the alerts' names, and what the first of them says."""
    names = ", ".join(dict.fromkeys(alert.name for alert in told.meant()))
    text = next((alert.text for alert in told.meant() if alert.text), "")
    return plain(f"{names}: {text}" if text else names, _TITLE)


def onset(told: Notification) -> datetime | None:
    """Return when the first of its alerts began, None where none says it."""
    return min((alert.since for alert in told.meant() if alert.since is not None), default=None)


def facts(told: Notification, severity_of_it: str, hosts: Iterable[str]) -> dict[str, Any]:
    """Return what the record keeps of a notification."""
    return {
        "source": "alertmanager",
        "group": told.group,
        "firing": told.firing,
        "severity": severity_of_it,
        "hosts": list(hosts),
        "alerts": [
            {
                "name": alert.name,
                "firing": alert.firing,
                "severity": alert.severity,
                "instance": alert.instance,
                "text": alert.text,
                "since": alert.since.isoformat() if alert.since else None,
            }
            for alert in told.alerts[:_NAMED]
        ],
        "left_out": told.truncated + max(0, len(told.alerts) - _NAMED),
    }


def in_words(told: Notification) -> str:
    """Return it on a line, for the timeline."""
    names = plain(", ".join(dict.fromkeys(alert.name for alert in told.meant())), _TITLE)
    if not told.firing:
        return f"the alert ended: {names}"
    ended = sum(not alert.firing for alert in told.alerts)
    also = f", {ended} ended" if ended else ""
    return f"alert: {names} ({len(told.alerts) + told.truncated - ended} firing{also})"


def _alert(entry: Any, where: str) -> Alert:
    whole = _mapping(entry, where)
    labels = {str(k): str(v) for k, v in _mapping(whole.get("labels"), f"{where}.labels").items()}
    notes = _mapping(whole.get("annotations") or {}, f"{where}.annotations")
    if whole.get("status") not in ("firing", "resolved"):
        raise NotUnderstood(f"{where}.status must be firing or resolved")
    return Alert(
        name=plain(labels.get("alertname") or "an alert without a name", _WORD),
        firing=whole["status"] == "firing",
        severity=plain(labels.get("severity", ""), _WORD),
        instance=plain(labels.get("instance", ""), _WORD),
        text=plain(next((notes[key] for key in _TEXTS if notes.get(key)), ""), _TITLE),
        since=_time(whole.get("startsAt")),
        labels=labels,
    )


def _severity(label: str, table: Mapping[str, str], default: str) -> str:
    word = label.strip().lower()
    found = table.get(word) or SEVERITY_ALIASES.get(word, word)
    return found if found in SEVERITIES else default


def host_of(text: str) -> str:
    """Return the host of `host:port`, `[address]:port` or a URL, anything else as it is; in small letters."""
    word = text.strip().lower()
    try:
        return urlsplit(word if "://" in word else f"//{word}").hostname or word
    except ValueError:  # brackets that do not close, a port that is no number: then it names no host of ours either
        return word


def _running(services: Iterable[Service], among: Iterable[str]) -> tuple[str, ...]:
    used = {host for service in services for host in service.hosts}
    return tuple(host for host in among if host in used)


def _time(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo is not None and found.year > 1 else None  # Go's zero time means none


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise NotUnderstood(f"{where} must be an object")
    return value
