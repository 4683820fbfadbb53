"""The matrix of a phase: what each host is at, and how far; calm where nobody watches."""

from __future__ import annotations

import pytest

from incidentctl.console import Console


def show(console: Console) -> None:
    console.show("phase", phase="triage", capabilities=["log_collection"], hosts=["web1", "web2"])
    console.show("cell", host="web1", capability="log_collection", outcome="running", told="120 of 240 MB")
    console.show("cell", host="web2", capability="log_collection", outcome="running", told="7 of 90 MB")
    console.show("cell", host="web2", capability="log_collection", outcome="done")
    console.show("cell", host="not asked", capability="log_collection", outcome="running", told="1 of 2 MB")


def test_in_a_terminal_it_says_how_far_a_transfer_is_until_that_has_ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    console = Console(interactive=False)
    show(console)
    console.close()  # shows it as it is by then, once
    shown = capsys.readouterr().err.splitlines()
    web1, web2 = ([line for line in shown if name in line][-1] for name in ("web1", "web2"))
    assert "… 120 of 240 MB" in web1
    assert "✓ done" in web2


def test_in_a_log_file_nothing_of_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(interactive=False)
    show(console)
    console.close()
    assert capsys.readouterr() == ("", "")
