"""A log line of a sick service holds a password: it is sealed with the evidence, and nobody else is told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.bundle import contents
from tests.receiver import Receiver
from tests.shop import Shop

HIDDEN = "tr0ub4dor-and-3"
SAID = f"cannot ask <login><password>{HIDDEN}</password></login>"  # a host by itself hides what is plainer
MARKED = "<password>[redacted: assignment]</password>"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


def log(shop: Shop, times: int) -> None:
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"
    with (shop.root / "logs" / "shop.log").open("a") as stream:
        stream.writelines(f"{now} ERROR shop.db: {SAID}\n" for _ in range(times))


def evidence(shop: Shop, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "incidentctl", "evidence", *words, "--config", str(shop.config)]
    return subprocess.run(argv, cwd=shop.folder, env=shop.environment, capture_output=True, text=True, check=False)


def sealed(folder: Path) -> bytes:
    return b"".join(part for path in folder.rglob("*.tar.*") for part in contents(path).values())


def everything(folder: Path, *without: str) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in files if not set(without) & set(path.parts)}


def test_a_password_in_a_log_is_in_the_evidence_and_in_nothing_for_people(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAM_URL", f"json://127.0.0.1:{receiver.port}/team")
    shop = Shop(tmp_path)
    shop.lay_out(
        severities={"high": {"contain": [], "notify": ["team"], "ticket": True}},
        audiences={"team": {"kind": "internal", "send": [{"env": "TEAM_URL"}]}},
        status_page={"folder": "page"},
    )
    with shop.broken(3):
        log(shop, 40)
        run = shop.run("run", "--severity", "high", "--yes", f"checkout fails: {SAID}")
        assert run.returncode == 10, run.stderr
        (folder,) = (tmp_path / "state" / "incidents").glob("INC-*")
        asked = {name: shop.run(*name.split(), inventory=False) for name in ("report", "brief", "brief --json")}
        copied = evidence(shop, "copy", str(tmp_path / "copy"))
        again = evidence(shop, "verify")
        events = shop.run("timeline", "--json", inventory=False).stdout
        cancelled = shop.run("cancel", "it is a test", inventory=False)
    assert [done.returncode for done in (*asked.values(), copied, again, cancelled)] == [0] * 6, copied.stderr

    assert HIDDEN.encode() in sealed(folder / "evidence")
    assert sum(HIDDEN in json.dumps(json.loads(line)) for line in events.splitlines()) > 1, (
        "the sample is recorded, too"
    )

    told = json.dumps([content for _path, _headers, content in receiver.got])
    assert MARKED in told
    for name, text in {**{name: done.stdout for name, done in asked.items()}, "messages": told}.items():
        assert HIDDEN not in text, name
    for place in ("copy", "page", "state/tickets", "memory_bank"):
        for path, content in everything(tmp_path / place).items():
            assert HIDDEN.encode() not in content, path
    for path, content in everything(folder, "evidence").items():
        assert HIDDEN.encode() not in content, path
    assert MARKED in (folder / "report.md").read_text().replace("\\", "")

    said = json.loads((tmp_path / "copy" / "manifest.json").read_text())
    assert said["redactions"]["assignment"] >= 40
    assert MARKED in b"".join(everything(tmp_path / "copy").values()).decode()
