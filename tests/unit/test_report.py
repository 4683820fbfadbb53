"""The report: what rules held back stands beside when they were lifted."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from incidentctl import report
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
    assert "2026-01-01T00:01:00" in stopped
    assert "still there" in cut


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
    assert "Onset: 2026-01-01T00:00:00.000+00:00, the alert ShopErrors." in text
    (line,) = (line for line in text.splitlines() if "got release 42" in line)
    assert line == "| 2025-12-31T23:51:00.000+00:00 | 9 min | release | web1, web2 | got release 42 of shop |  |"
    assert "web1: packages: not looked at" in text
