"""Is everything ready for the next incident? `incidentctl doctor`: looks, and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from incidentctl import engine, plan
from incidentctl.desk import Show
from incidentctl.errors import IncidentctlError
from incidentctl.outcome import SUCCESS, Outcome, Step
from incidentctl.session import Session

# In check mode these connect, become, read the catalogue and look at releases and data, and change nothing.
_LOOKS = ("health_check", "log_collection", "backup", "prepare_rollback")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    told: str
    fix: str = ""


class NotReady(IncidentctlError):
    """Something must be mended before the next incident."""

    exit_code = 11


def check(session: Session, limit: str | None, show: Show) -> list[Finding]:
    """Look at settings, record, inventory and every host. Raise ConfigurationError only for what stops the look."""
    settings = session.settings
    found = [Finding("settings", True, f"state in {settings.state_dir}")]
    found += _record(session)
    inventory = session.hosts()
    hosts = plan.narrow(inventory, limit)
    found.append(Finding("inventory", True, f"{len(hosts)} host(s), {len(inventory.services)} service(s)"))
    found += _audiences(session)
    step = Step("doctor", _LOOKS, hosts, {"incident_continue": True}, check=True)
    show("phase", phase="doctor", capabilities=_LOOKS, hosts=hosts)
    outcome = engine.run(step, session.sources(), show, settings.secret_environment())
    show("phase_done", outcome=outcome)
    return found + [_host(host, outcome) for host in hosts]


def judge(found: list[Finding]) -> None:
    """Raise NotReady if anything must be mended."""
    wrong = [row.what for row in found if not row.ok]
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


def _audiences(session: Session) -> list[Finding]:
    """Every audience's secrets are there; nobody is told anything."""
    found = []
    for name, audience in session.settings.audiences.items():
        try:
            for secret in audience.send:
                session.settings.resolve_secret(secret)
        except IncidentctlError as error:
            found.append(Finding(f"audience {name}", False, error.what, error.fix))
        else:
            found.append(Finding(f"audience {name}", True, f"{len(audience.send)} address(es)"))
    return found


def _host(host: str, outcome: Outcome) -> Finding:
    rows = [row for row in outcome.rows if row.host == host and row.outcome not in SUCCESS]
    if not rows:
        return Finding(f"host {host}", True, "reached, read, and could be acted on")
    return Finding(f"host {host}", False, "; ".join(f"{row.capability} {row.outcome}: {row.reason}" for row in rows))
