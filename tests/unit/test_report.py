"""The report: what rules held back stands beside when they were lifted."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from incidentctl import report, times, wording
from incidentctl.desk import Desk
from incidentctl.incident import Event, fold
from incidentctl.ledgers import record
from incidentctl.outcome import HostOutcome, Outcome, Step

HELD = "held back 4,812 attempts to connect from 3 sources"
APPLIED = [
    {"host": "web1", "capability": name, "entry": f"00000{n}", "target": "shop", "summary": f"shop {name}"}
    for n, name in enumerate(("rate_limit", "isolation", "quarantine"))
]


def test_what_was_held_back_is_recorded_at_lift_and_told(tmp_path: Path) -> None:
    rows = [("declared", {"title": "flood", "severity": "high"}), *(("containment_applied", data) for data in APPLIED)]
    events = [Event("INC-1", n, f"2026-01-01T00:00:0{n}.000+00:00", "ada", *row, "", "") for n, row in enumerate(rows)]

    def note(kind: str, **data: Any) -> None:
        events.append(Event("INC-1", len(events), "2026-01-01T00:01:00.000+00:00", "ada", kind, data, "", ""))

    facts = {"open": ["000002"], "lifted": ["000000", "000001"], "held_back": {"000000": HELD}}
    outcome = Outcome(
        Step("lift", ("lift",), ("web1",), deadline_s=60), (HostOutcome("web1", "lift", "done", facts=facts),), 1.0
    )
    record(cast(Desk, SimpleNamespace(incident=lambda: fold(events), note=note)), outcome)
    text = report.write(events, tmp_path).read_text().replace("\\", "")
    assert f"lifted on web1: rate_limit shop; it {HELD}" in text
    assert "lifted on web1: isolation shop; it" not in text
    (limited, stopped, cut) = (line for line in text.splitlines() if line.startswith("| web1 |"))
    assert limited.endswith(f"| {HELD} |")
    assert "2026-01-01 00:01:00 UTC" in stopped
    assert "still there" in cut


COUNTED = {
    "ports": [8443], "dropped": 12431, "passed": 459, "sources": 9, "more_sources": False,
    "since": "2026-01-01T00:00:01.000+00:00",
    "busiest": [{"source": "10.213.77.200", "dropped": 12400}, {"source": "10.213.77.9", "dropped": 31}],
}  # fmt: skip


def test_what_was_held_back_is_told_by_host_and_port_with_who_it_was_from_when_to_when(tmp_path: Path) -> None:
    named = {"host": "web1", "capability": "rate_limit", "entry": "000001", "target": "front"}
    look = {"phase": "rate_limit", "host": "web2", "capability": "rate_limit", "outcome": "unchanged"}
    limits = [{"service": "front", "entry": "000001", "counted": {**COUNTED, "dropped": 2, "passed": 0, "busiest": []}}]
    cut = {**COUNTED, "ports": [], "dropped": 7, "sources": None, "busiest": []}
    told = [
        ("declared", {"title": "flood", "severity": "high"}),
        *(("containment_applied", {**named, "host": host, "summary": "limited"}) for host in ("web1", "web2", "db1")),
        ("host_outcome", {**look, "facts": {"limits": limits}}),
        ("containment_lifted", {**named, "counted": COUNTED}),
        ("containment_lifted", {**named, "host": "db1", "capability": "quarantine", "target": "host", "counted": cut}),
    ]
    events = [Event("INC-1", n, f"2026-01-01T00:05:0{n}.000+00:00", "ada", *one, "", "") for n, one in enumerate(told)]
    text = report.write(events, tmp_path).read_text().replace("\\", "")
    rows = text.partition("## Held back")[2].partition("##")[0]
    assert (
        "| web1 | rate_limit front, port 8443 | 12,431 of 12,890 attempts to connect dropped, 100 % from 10.213.77.200 "
        "| 2026-01-01 00:00:01 UTC | 2026-01-01 00:05:05 UTC "
        "| 10.213.77.200: 12,400; 10.213.77.9: 31; 9 sources in all |"
    ) in rows
    assert "| web2 | rate_limit front, port 8443 | 2 of 2 attempts to connect dropped | " in rows
    assert "| still there, as last looked at | 9 sources in all |" in rows
    assert "| db1 | quarantine host | 7 packets dropped | " in rows
    assert "Held back" not in report.write(events[:2], tmp_path).read_text()
    status = wording.status(fold(events))
    assert (
        "contained on web2: rate_limit front\n    2 of 2 attempts to connect dropped since 2026-01-01 00:00:01 UTC"
        in status
    )


def test_onset_and_what_changed_before_it_are_in_the_report(tmp_path: Path) -> None:
    change = {
        "kind": "release", "name": "42", "text": "got release 42 of shop", "detail": "", "service": "shop", "path": None,
        "at": "2025-12-31T23:51:00.000+00:00",
    }  # fmt: skip
    facts = {"changes": [change], "changes_notes": ["packages: not looked at"], "services": {}}
    row = {"phase": "diagnose", "capability": "diagnosis", "outcome": "unchanged", "facts": facts}
    onset = {"at": "2026-01-01T00:00:00.000+00:00", "source": "the alert ShopErrors"}
    told = [
        ("declared", {"title": "sick", "severity": "high"}),
        ("step_started", {"phase": "diagnose", "capabilities": ["diagnosis"], "hosts": ["web1", "web2"]}),
        *(("host_outcome", {**row, "host": host}) for host in ("web1", "web2")),
        ("step_finished", {"phase": "diagnose", "outcome": "unchanged", "onset": onset}),
    ]
    events = [Event("INC-1", n, f"2026-01-01T00:05:0{n}.000+00:00", "ada", *one, "", "") for n, one in enumerate(told)]
    text = report.write(events, tmp_path).read_text().replace("\\", "")
    assert "Onset: 2026-01-01 00:00:00 UTC, the alert ShopErrors." in text
    (line,) = (line for line in text.splitlines() if "got release 42" in line)
    assert line == "| 2025-12-31 23:51:00 | 9 min | release | web1, web2 | got release 42 of shop |  |"
    assert "web1: packages: not looked at" in text


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("2026-01-01T01:00:59.999+01:00", "2026-01-01 00:00:59 UTC"),
        ("2026-01-01T00:00:00.000+00:00", "2026-01-01 00:00:00 UTC"),
        ("not yet", "not yet"),
    ],
)
def test_times_are_told_to_the_second_in_utc_and_what_is_none_as_it_stands(at: str, told: str) -> None:
    assert times.when(at) == told
    assert times.moment(at) == told.removesuffix(" UTC")
