"""A drill, and what really happens meanwhile: neither swallows the other, nor stands in its way on other hosts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from incidentctl import notify, workflow
from incidentctl.errors import AlreadyOpen, LockedError
from incidentctl.intake import Intake
from incidentctl.plan import Inventory, Service
from incidentctl.record import Record, open_record
from incidentctl.session import Session
from incidentctl.settings import Settings

PRACTICE, REAL = "staging1", "web1"
SITE = Inventory(
    {host: frozenset({"all"}) for host in (PRACTICE, REAL)},
    (Service("shop", (PRACTICE, REAL), True, True, (), {}), Service("mail", (PRACTICE,), True, False, (), {})),
)


@dataclass(frozen=True)
class Opened(Session):
    """A session whose inventory is not read by Ansible."""

    def hosts(self) -> Inventory:
        return SITE

    def sources(self) -> tuple[str, ...]:
        return ()


@pytest.fixture
def record(path: Path) -> Iterator[Record]:
    with open_record(f"sqlite:///{path}") as record:
        yield record
        notify.wait()  # what is on its way writes to the record


@pytest.fixture
def drill(record: Record) -> str:
    """A drill that is under way."""
    return declared(record, PRACTICE, drill="disk_full")


def declared(record: Record, *hosts: str, drill: str | None = None) -> str:
    facts: dict[str, Any] = {"title": "x", "severity": "high", "services": ["shop"], "hosts": list(hosts)}
    return workflow.declare(record, "ada", **facts, drill=drill)


# --- who declares ---------------------------------------------------------------------------------


def test_an_incident_on_other_hosts_is_declared_though_a_drill_is_about_the_same_service(
    record: Record, drill: str
) -> None:
    assert record.incident(declared(record, REAL)).drill is None
    assert record.incident(drill).status == "investigating"


def test_a_drill_begins_though_an_incident_is_open_on_other_hosts_and_not_on_its_own(record: Record) -> None:
    real = declared(record, REAL)
    declared(record, PRACTICE, drill="disk_full")
    with pytest.raises(AlreadyOpen) as error:
        declared(record, REAL, drill="disk_full")
    assert error.value.incident_id == real


def test_who_declares_over_the_hosts_of_a_drill_is_told_so_and_not_to_go_on_with_it(record: Record, drill: str) -> None:
    before = declared(record, REAL)
    record.append(before, "closed", {}, "ada")
    with pytest.raises(LockedError, match=f"A drill is under way on {PRACTICE}") as error:
        declared(record, PRACTICE, REAL)
    assert not isinstance(error.value, AlreadyOpen), "joined, it would tell nobody and count nowhere"
    assert f"all:!{PRACTICE}" in error.value.fix
    workflow.reopen(record, "ada", before)


# --- what alerts ----------------------------------------------------------------------------------


def fires(intake: Intake, *instances: str, group: str = "g", status: str = "firing") -> Any:
    """Alertmanager says that the shop fails, on these hosts: began long before the drill ended."""
    labels = [{"service": "shop", **({"instance": name} if name else {})} for name in instances]
    alerts = [{"status": status, "labels": one, "startsAt": "2026-01-01T00:00:00Z"} for one in labels]
    return intake.hear({"version": "4", "groupKey": group, "status": status, "alerts": alerts})


@pytest.fixture
def intake(record: Record) -> Intake:
    return Intake(Opened(Settings(), record, "ada"))


def test_what_alerts_on_the_hosts_of_a_drill_alone_is_its_own_doing(intake: Intake, drill: str) -> None:
    heard = fires(intake, f"{PRACTICE}:9100")
    assert (heard.incident_id, heard.did) == (drill, "added")


@pytest.mark.parametrize("instances", [(REAL,), (PRACTICE, REAL), ("",), (PRACTICE, ""), ("elsewhere:9090",)])
def test_what_may_alert_elsewhere_is_an_incident_of_the_other_hosts(
    intake: Intake, record: Record, drill: str, instances: tuple[str, ...]
) -> None:
    heard = fires(intake, *instances)
    assert (heard.did, heard.incident_id == drill) == ("declared", False), "a drill tells nobody"
    assert record.incident(str(heard.incident_id)).hosts == (REAL,)
    assert fires(intake, *instances).incident_id == heard.incident_id, "one incident of one group"


def test_a_group_that_the_drill_has_heard_of_is_not_its_own_any_more_once_it_fires_elsewhere(
    intake: Intake, record: Record, drill: str
) -> None:
    fires(intake, PRACTICE)
    assert fires(intake, PRACTICE, REAL).did == "declared"


def test_after_a_drill_what_it_caused_is_its_last_word_and_the_same_elsewhere_is_not(
    intake: Intake, record: Record, drill: str
) -> None:
    fires(intake, PRACTICE)
    record.append(drill, "closed", {}, "ada")
    assert fires(intake, PRACTICE).incident_id == drill
    assert fires(intake, PRACTICE, REAL).did == "declared"
