"""The playbooks health_check and diagnosis, run as an operator runs them, against a real little service."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
Play = Callable[..., tuple[int, dict[str, Any]]]


class _Shop(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(type(self).status)
        self.end_headers()
        self.wfile.write(b"no such column: unit_price")

    def log_message(self, *_words: Any) -> None:
        pass


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(_Shop, "status", 200)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Shop)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/health"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def play(shop: str, tmp_path: Path) -> Play:
    """Run a playbook of the collection on one host; return its exit code and the host's `incident` block."""
    for release in ("41", "42"):
        (tmp_path / "releases" / release).mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/42")
    service = {
        "name": "shop",
        "hosts": "web",
        "health": {"url": shop, "timeout_s": 3},
        "logs": [{"kind": "file", "path": str(tmp_path / "shop.log")}],
        "releases": {"kind": "symlink", "root": str(tmp_path / "releases"), "current": str(tmp_path / "current")},
    }
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    variables = {
        "incident_become": False,
        "incident_state_dir": str(tmp_path / "state"),
        "incident_services": [service],
    }
    inventory = tmp_path / "inventory.json"
    inventory.write_text(json.dumps({"web": {"hosts": {"here": host}, "vars": variables}}))

    def run(name: str, *words: str, **extra: Any) -> tuple[int, dict[str, Any]]:
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        done = subprocess.run(
            [program, f"incidentctl.response.{name}", "-v", "-i", str(inventory), "-e", json.dumps(extra), *words],
            cwd=ROOT,
            env={**os.environ, "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        results = [line.partition(" => ")[2] for line in done.stdout.splitlines() if '"incident": {' in line]
        assert len(results) == 1, done.stdout + done.stderr
        return done.returncode, json.loads(results[0])

    return run


def test_health_check_passes_for_a_healthy_service_and_holds_for_a_window(play: Play) -> None:
    code, result = play("health_check", health_check_window_s=1, health_check_within_s=1)
    assert (code, result["changed"], result["incident"]["outcome"]) == (0, False, "unchanged")
    assert "held for 1 s" in result["incident"]["facts"]["services"]["shop"]["detail"]


def test_health_check_of_a_sick_service_fails_by_hand_and_is_handed_back_in_a_phase(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Shop, "status", 500)
    code, result = play("health_check")
    assert code == 2
    assert result["msg"] == "health_check failed: shop: 500 (expected 200): no such column: unit_price"
    code, result = play("health_check", incident_continue=True)
    assert (code, result["incident"]["outcome"]) == (0, "failed")
    assert result["incident"]["facts"]["services"]["shop"]["healthy"] is False


@pytest.mark.parametrize("words", [(), ("--check", "--diff")])
def test_diagnosis_names_the_release_that_broke_it(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(_Shop, "status", 500)
    first = datetime.now(UTC) + timedelta(seconds=14)
    (tmp_path / "shop.log").write_text(
        f"{first:%Y-%m-%dT%H:%M:%SZ} ERROR order 7 failed: no such column: unit_price\n" * 3
    )
    code, result = play("diagnosis", *words)
    incident = result["incident"]
    assert (code, result["changed"], incident["outcome"]) == (0, False, "unchanged")
    assert incident["facts"]["services"]["shop"]["release"]["previous"] == "41"
    assert "shop: release 42 was deployed" in incident["facts"]["findings"][0]["text"]
    assert not (tmp_path / "state").exists()


def test_what_changed_is_looked_for_as_far_back_as_the_role_says(play: Play) -> None:
    def releases(**variables: float) -> list[str]:
        _code, result = play("diagnosis", **variables)
        return [one["text"] for one in result["incident"]["facts"]["changes"] if one["kind"] == "release"]

    assert releases() == ["got release 42 of shop (before it: 41)"]
    assert releases(diagnosis_changes_hours=0) == []


def test_only_narrows_what_is_looked_at(play: Play) -> None:
    code, result = play("diagnosis", incident_only=["shop"])
    assert (code, list(result["incident"]["facts"]["services"])) == (0, ["shop"])
    code, result = play("health_check", incident_only=["shpo"])
    assert code == 2
    assert "did you mean shop?" in result["msg"]
