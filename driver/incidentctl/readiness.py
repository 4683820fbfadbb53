"""Is everything ready for the next incident? `incidentctl doctor`: looks, and changes nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from incidentctl import addresses, engine, gate, inventory_files, mitigation, monitoring, notify, plan, reasons
from incidentctl.desk import Show
from incidentctl.errors import IncidentctlError, UsageError
from incidentctl.guards import Refusal
from incidentctl.outcome import SUCCESS, HostOutcome, Step
from incidentctl.plan import Inventory, PlannedStep
from incidentctl.session import Session
from incidentctl.settings import Monitoring, Secret, Settings, resolve_secret
from incidentctl.text import nearest

# The first asks for what would be missing. In check mode the others connect, become, read the catalogue and look at
# releases and data, and change nothing.
_LOOKS = ("readiness", "health_check", "log_collection", "backup", "prepare_rollback")
_RULES = "enhanced_monitoring"  # where an incident would load rules: Prometheus is asked whether it can
_FIXES = {
    "readiness": "correct incident_services",
    "health_check": "mend the service, or `health` and `depends_on` in the catalogue",
    "log_collection": "correct `logs` in the catalogue, or make it readable",
    "backup": "correct `data` in the catalogue, or mend what is said",
    "prepare_rollback": "correct `releases` in the catalogue, or mend what is said",
    _RULES: "correct `alerts` in the catalogue, or what the inventory says of Prometheus",
}
_NO_LOGIN = "start it, or see why you cannot log in: ansible HOST -m ping -vvv shows how it is tried"
_NO_ROOT = "let the login user become root there (sudoers, or ansible_become_password), or set incident_become: false"
_NO_START = "ansible HOST -m ping -vvv shows where it ends; often ansible_python_interpreter must be set for the host"
_MUTE = "`health`, or at least `manager`, in the catalogue says how to tell; until then nobody sees whether it is down"
_CLOCK = "set it right: `date -u` here and there tells which of the two is wrong; timedatectl or chronyc says why"
# Seconds by which a clock is off for certain: from then on logs are hard to bring into one order; and a host's deadlines
# and the order of the timeline are wrong.
_CLOCK_OFF_S, _CLOCK_WRONG_S = 2.0, 60.0
_OVERRIDE = "raise or correct `guards` in incidentctl.yml; in an incident narrow it with --limit, or if it is meant say"
_AT_ONCE = 16  # addresses that are tried beside each other


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. A `warning` should be mended, too, but an incident can be met with it."""

    what: str
    ok: bool
    told: str
    fix: str = ""
    warning: bool = False


class NotReady(IncidentctlError):
    """Something must be mended before the next incident."""

    exit_code = 11


def check(session: Session, limit: str | None, show: Show) -> list[Finding]:
    """Look at settings, record, inventory, guards, addresses, monitoring and every host.

    Raise ConfigurationError or UsageError only for what stops the look.
    """
    settings = session.settings
    found = [Finding("settings", True, f"state in {settings.state_dir}")]
    found += _record(session)
    inventory = session.hosts()
    hosts = plan.narrow(inventory, limit)
    found.append(Finding("inventory", True, f"{len(hosts)} host(s), {len(inventory.services)} service(s)"))
    found += [
        Finding(
            "inventory", True, f"{told}; Ansible takes the last one and says nothing", "keep one of them", warning=True
        )
        for told in inventory_files.wrong(source for source in session.sources() if "," not in source)[1]
    ]
    found += _guards(settings, inventory, hosts)
    found += _addresses(settings)
    found += _monitoring(settings, [service.name for service in inventory.services])
    return found + _hosts(session, hosts, show)


def judge(found: list[Finding]) -> None:
    """Raise NotReady if anything must be mended."""
    wrong = dict.fromkeys(row.what for row in found if not row.ok)
    if wrong:
        raise NotReady(f"Not ready: {', '.join(wrong)}.", fix="mend what is marked above, then ask the doctor again")


def _record(session: Session) -> list[Finding]:
    """Every incident's chain of hashes is whole."""
    known = session.record.incidents()
    broken = [(name, seq) for name in known if (seq := session.record.verify(name)) is not None]
    if not broken:
        return [Finding("record", True, f"{len(known)} incident(s), every chain whole")]
    fix = "somebody changed the record: compare it with the head hashes that went out with the notifications"
    return [Finding("record", False, f"{name} is broken at event {seq}", fix) for name, seq in broken]


def _guards(settings: Settings, inventory: Inventory, hosts: tuple[str, ...]) -> list[Finding]:
    """No guard would refuse at three in the morning what a severity contains, were every service affected.

    Nor what a mitigation does to any one of them: it is for that which is behind the incident.
    """
    found = list(_unprotected(settings, inventory))
    try:
        scope = plan.in_scope(inventory, hosts, ())
    except UsageError as error:
        return [*found, Finding("guards", True, error.what)]
    meant = {name: [plan.make(name, of.contain, hosts, scope).steps] for name, of in settings.severities.items()}
    meant["mitigate"] = [mitigation.step(settings.mitigate, None, (service,), scope, hosts)[:1] for service in scope]
    for name, several in meant.items():
        if refusals := _refusals(settings, inventory, several):
            # Whether a service has anything left to lose, and how many are affected, only an incident will show.
            likely = name == "mitigate" or {refusal.guard for refusal in refusals} == {"last_instance"}
            told = "; ".join(f"{refusal.guard}: {refusal.told}" for refusal in refusals)
            fix = f"{_OVERRIDE} {' '.join(refusal.override for refusal in refusals)}"
            found.append(Finding(f"guards for {name}", likely, f"would refuse: {told}", fix, likely))
    return found or [Finding("guards", True, "no severity's containment would be refused")]


def _refusals(settings: Settings, inventory: Inventory, several: Iterable[Sequence[PlannedStep]]) -> list[Refusal]:
    """Return what a guard would refuse first, of several things of which one would be done."""
    found: dict[str, Refusal] = {}
    for steps in several:
        found = {refusal.guard: refusal for refusal in gate.refusals(settings, inventory, None, steps)} | found
    return list(found.values())


def _unprotected(settings: Settings, inventory: Inventory) -> Iterator[Finding]:
    known = {"all", *inventory.hosts, *(group for groups in inventory.hosts.values() for group in groups)}
    for name in settings.guards.never_isolate:
        if name not in known:
            told = f"never_isolate protects nothing by {name!r}: no host or group has that name{nearest(name, known)}"
            yield Finding("guards", False, told, "correct guards.never_isolate in incidentctl.yml")


def _addresses(settings: Settings) -> list[Finding]:
    """Everybody who would be told can be: the secrets are there, and what they name can be connected to."""
    meant = {f"audience {name}": (audience.send, notify.understood) for name, audience in settings.audiences.items()}
    tracker = settings.tracker
    if tracker.url is not None:
        meant["tracker"] = ((tracker.url,), addresses.is_web)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = {what: [pool.submit(_address, one, fits) for one in send] for what, (send, fits) in meant.items()}
        github = pool.submit(_github, settings) if tracker.token is not None else None
    answers = {what: [one.result() for one in tried] for what, tried in asked.items()}
    answers |= {"tracker": [github.result()]} if github else {}
    return [finding for what, told in answers.items() for finding in _told_at(what, told)]


def _address(secret: Secret, fits: Callable[[str], bool]) -> addresses.Tried:
    """Try the address that a secret holds. The address is never told, only where it is kept."""
    try:
        address = resolve_secret(secret)
    except IncidentctlError as error:
        return addresses.Tried(f"{error.what} {error.why}".strip(), error.fix)
    if not fits(address):
        return addresses.Tried(f"what is in {secret.place} is no address that can be used", f"correct {secret.place}")
    tried = addresses.attempt(address)
    told = tried.problem and f"the address in {secret.place} cannot be connected to: {tried.problem}"
    return addresses.Tried(told, f"start what should listen there, or correct {secret.place}", tried.note)


def _github(settings: Settings) -> addresses.Tried:
    tracker = settings.tracker
    assert tracker.token is not None  # noqa: S101 - who asks has looked
    try:
        resolve_secret(tracker.token)
    except IncidentctlError as error:
        return addresses.Tried(f"{error.what} {error.why}".strip(), error.fix)
    tried = addresses.attempt(tracker.api)
    told = tried.problem and f"{tracker.api} cannot be connected to: {tried.problem}"
    return addresses.Tried(told, "see tracker.api in incidentctl.yml, and the network", tried.note)


def _told_at(what: str, tried: list[addresses.Tried]) -> list[Finding]:
    wrong = [Finding(what, False, one.problem, one.fix) for one in tried if one.problem]
    answering = sum(not one.note for one in tried)
    notes = dict.fromkeys(one.note for one in tried if one.note)
    said = [f"{answering} address(es) can be connected to"] if answering or not tried else []
    return wrong or [Finding(what, True, "; ".join([*said, *notes]))]


def _monitoring(settings: Settings, services: Sequence[str]) -> list[Finding]:
    """The monitoring that is configured answers, as Prometheus and Alertmanager do, and can tell what it is to be asked."""
    asked = [name for name in ("prometheus", "alertmanager") if getattr(settings.monitoring, name)]
    if not asked:
        return []
    fix = "start it, or correct its address under monitoring in incidentctl.yml"
    problems = monitoring.look(settings.monitoring)["problems"]
    if problems:
        return [Finding("monitoring", False, problem, fix) for problem in problems]
    return [Finding("monitoring", True, f"{' and '.join(asked)} answer"), *_queries(settings.monitoring, services)]


def _queries(asked: Monitoring, services: Sequence[str]) -> Iterator[Finding]:
    """What is wrong with a query is not to be found out when a recovery is verified."""
    if not (asked.queries and asked.prometheus):
        return
    values, problems = monitoring.measured(asked, services, [None])
    fix = "correct it under monitoring.queries in incidentctl.yml"
    yield from (Finding("queries", False, problem, fix) for problem in problems)
    told = {name: [value for (value,) in each.values() if value is not None] for name, each in values.items()}
    for name in (name for name, numbers in told.items() if numbers and all(map(math.isnan, numbers))):
        said = f"{name} gives nothing for any service: right, if nothing of it has happened yet"
        yield Finding("queries", True, said, f"else {fix}", warning=True)
    if not problems:
        yield Finding("queries", True, f"{', '.join(told)} can be asked")


def _hosts(session: Session, hosts: tuple[str, ...], show: Show) -> list[Finding]:
    """Every host can be reached, read, and acted on."""
    answered: dict[str, float] = {}

    def landed(row: HostOutcome) -> None:
        if row.capability == "readiness":
            answered.setdefault(row.host, time.time())

    settings = session.settings
    used = {*settings.mitigate, *(name for policy in settings.severities.values() for name in policy.contain)}
    looks = (*_LOOKS, _RULES) if _RULES in used else _LOOKS
    step = Step("doctor", looks, hosts, {"incident_continue": True}, check=True, deadline_s=settings.deadlines.phase)
    show("phase", phase="doctor", capabilities=_LOOKS, hosts=hosts)  # the rules are told below: the table has no room
    outcome = engine.run(step, session.sources(), show, settings.secret_environment(), landed)
    show("phase_done", outcome=outcome, story=False)  # it is told below, with what to do
    rows = {host: [row for row in outcome.rows if row.host == host] for host in hosts}
    return [finding for host in hosts for finding in _host(host, rows[host], answered.get(host))]


def _host(host: str, rows: Iterable[HostOutcome], answered: float | None) -> list[Finding]:
    found: list[Finding] = []
    told: set[str] = set()
    for row in rows:
        if row.reason not in told:  # a catalogue that is wrong is so for every look
            found += _row(row, answered)
        told |= {row.reason} - {""}
    if all(finding.ok for finding in found):
        found.append(Finding(f"host {host}", True, "reached, read, and could be acted on"))
    return found


def _row(row: HostOutcome, answered: float | None) -> Iterator[Finding]:
    """What one look at one host found. What was not attempted has its reason in a look before it."""
    what = f"host {row.host}"
    for finding in row.facts.get("findings", ()):
        warning = finding["level"] == "warning"
        yield Finding(what, warning, finding["text"], finding["fix"], warning)
    if answered is not None and row.capability == "readiness" and "clock" in row.facts:
        yield from clock(what, *offset(row.facts["clock"], answered))
    if row.outcome in SUCCESS or row.outcome == "not_attempted" or row.facts.get("findings"):
        return
    told, fix = reasons.way_out(row.reason)
    looks = row.facts.get("services", {}) if row.capability == "health_check" else {}
    mute = sorted(name for name, look in looks.items() if look.get("healthy") is None)
    if mute and not any(look.get("healthy") is False for look in looks.values()):
        yield Finding(what, True, f"nothing tells how {', '.join(mute)} is", _MUTE, warning=True)
    elif row.outcome == "unreachable":
        yield Finding(what, False, f"cannot be reached: {told}", fix or _NO_LOGIN)
    elif told.startswith(reasons.NO_PRIVILEGE):
        yield Finding(what, False, told, _NO_ROOT)
    else:
        fix = _FIXES.get(row.capability, "") if row.actions else _NO_START
        yield Finding(what, False, f"{row.capability} {row.outcome}: {row.reason}", fix or "mend what is said")


def offset(clock: Mapping[str, float], answered_at: float) -> tuple[float, float]:
    """Return by how many seconds a host's clock is ahead of ours, and by how many that may be wrong: half the way.

    As in NTP, by four times: we asked, the host began, it ended, its answer was here.
    """
    there, back = clock["began_at"] - clock["asked_at"], clock["ended_at"] - answered_at
    way = (answered_at - clock["asked_at"]) - (clock["ended_at"] - clock["began_at"])
    return (there + back) / 2, way / 2


def clock(what: str, ahead: float, give_or_take: float) -> Iterator[Finding]:
    """Yield what is to be said of a clock; what may be owed to a slow network is not."""
    certain = abs(ahead) - give_or_take
    if certain < _CLOCK_OFF_S:
        return
    side = "ahead of" if ahead > 0 else "behind"
    told = f"its clock is {abs(ahead):.1f} s {side} this machine's, give or take {give_or_take:.1f} s"
    warning = certain < _CLOCK_WRONG_S
    yield Finding(what, warning, f"{told}: what happened when cannot be told", _CLOCK, warning)
