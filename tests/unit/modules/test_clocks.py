"""Clocks that are put away leave nothing, not even what somebody left who was killed while setting them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _clocks, _dead_man, _rule_removal

CHAIN = "incidentctl-0123456789ab"


@pytest.mark.parametrize("timer", ["detached", "systemd"])
def test_the_drafts_of_one_that_was_killed_are_removed_and_those_of_another_chain_stay(
    tmp_path: Path, timer: str
) -> None:
    folder, units = tmp_path / "clocks", tmp_path / "units"
    folder.mkdir()
    units.mkdir()
    clock = {"timer": timer, "script": str(folder / "chain.py"), "units": str(units), "since": 0.0}
    for name in (".chain.py.draft", ".chain-confirm.draft", ".chain-expire.draft"):
        (folder / name).write_text("")
    for name in (".chain-confirm.timer.draft", ".chain-expire.service.draft", ".chain-sweep.service.draft"):
        (units / name).write_text("")
    other = folder / ".other.py.draft"
    other.write_text("")
    _clocks.disarm(clock)
    assert list(folder.iterdir()) == [other]
    assert len(list(units.iterdir())) == (0 if timer == "systemd" else 3)
    other.unlink()
    _clocks.disarm(clock)
    assert not folder.exists()


def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: str) -> dict[str, Any]:
    """Put a systemctl on this host; return the clocks whose units are there."""
    for folder in ("bin", "clocks", "units"):
        (tmp_path / folder).mkdir()
    program = tmp_path / "bin" / "systemctl"
    program.write_text(f'#!/bin/sh\ncase "$*" in {answers} esac\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    script = tmp_path / "clocks" / f"{CHAIN}.py"
    return {"timer": "systemd", "script": str(script), "units": str(tmp_path / "units"), "since": 0.0}


def test_a_clock_is_off_when_systemd_only_could_not_read_its_units_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = systemctl(tmp_path, monkeypatch, "daemon-reload|is-active*) exit 1;;")
    files = [*_clocks.units(clock, "confirm"), _clocks.token(clock, "confirm")]
    for path in files:
        path.write_text("")
    _clocks.stop(clock, "confirm")
    assert not any(path.exists() for path in files)


def test_each_clock_is_asked_whether_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As systemctl is-active does: of several units, one that is active is enough for it."""
    clock = systemctl(tmp_path, monkeypatch, f"is-active*confirm*) exit 0;; is-active*{CHAIN}-expire.timer) exit 3;;")
    monkeypatch.setattr(_dead_man, "LASTING", clock["units"])
    moments = {"confirm": 1893456000, "expire": 1893456000}
    with pytest.raises(_rule_removal.RuleError, match="exited 3"):
        _dead_man._start(clock, moments, {"confirm": 60, "expire": 600}, "INC-1")


def test_a_process_that_does_not_start_is_told_by_one_of_us_alone(tmp_path: Path) -> None:
    us = os.getpid()
    try:
        with pytest.raises(_rule_removal.RuleError, match="could not be started"):
            _clocks.detach([str(tmp_path / "no-such-program")])
    finally:
        if os.getpid() != us:  # the copy that must not be: it would go on with all the tests
            os._exit(0)


def keepers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(_clocks, "PLACES", [str(folder / "etc")])
    clock = {"timer": "detached", "script": str(folder / "state" / "clocks" / f"{CHAIN}.py"), "since": 0.0}
    return _clocks.keepers(clock)


@pytest.mark.parametrize(
    "text",
    [
        f"*mangle\n:PREROUTING ACCEPT [0:0]\n:{CHAIN} - [0:0]\nCOMMIT\n",
        f"[7:420] -A {CHAIN} -i lo -j RETURN\n",
        f'-A PREROUTING -p tcp -m comment --comment "x" -j {CHAIN}\n',
        f"iptables -t mangle -N {CHAIN}\n",
        f"iptables -t mangle --jump={CHAIN}\n",
        f'subprocess.run(["iptables", "-j", "{CHAIN}"])\n',
        f"table ip mangle {{\n\tchain {CHAIN} {{\n",
        f"\t\tmeta l4proto tcp counter packets 1 bytes 60 jump {CHAIN}\n",
        f"add chain ip mangle {CHAIN}\n",
        f"add rule ip mangle {CHAIN} counter drop\n",
        f'{{"chain": {{"family": "ip", "table": "mangle", "name": "{CHAIN}", "handle": 2}}}}',
        f'{{"jump": {{"target": "{CHAIN}"}}}}',
        f'<rule priority="0" table="mangle" ipv="ipv4" chain="PREROUTING">-p tcp -j {CHAIN}</rule>',
        f'<chain ipv="ipv4" table="mangle" chain="{CHAIN}"/>',
    ],
)
def test_a_saved_rule_set_in_any_form_may_bring_a_chain_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "rules").write_bytes(b"# f\xfcr alle\n" + text.encode())
    assert keepers(tmp_path, monkeypatch) == [str(tmp_path / "etc" / "rules")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".bash_history", f"iptables -t mangle -F {CHAIN}; iptables -D PREROUTING -j {CHAIN}\n"),
        ("notes", f"March: chain {CHAIN} was in for an hour, see {CHAIN}-sweep.service\n"),
        ("log", f"{CHAIN} was back, and is out again: journalctl -u {CHAIN}-sweep\n"),
        ("rules", f"-A PREROUTING -j {CHAIN}0\n"),
    ],
)
def test_a_note_of_its_name_brings_nothing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / name).write_text(text)
    assert keepers(tmp_path, monkeypatch) == []


def test_a_share_of_others_is_not_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a share", "own", "rules"):
        (tmp_path / "etc" / name).mkdir(parents=True)
        (tmp_path / "etc" / name / "saved").write_text(f":{CHAIN} - [0:0]\n")
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"36 27 0:45 / {tmp_path}/etc/a\\040share rw,relatime shared:5 - nfs4 gone.example:/srv rw,hard\n"
        f"37 27 254:0 /x {tmp_path}/etc/own rw,relatime - ext4 /dev/vda rw\n"
    )
    monkeypatch.setattr(_clocks, "_MOUNTS", str(mounts))
    scandir = os.scandir
    read: list[str] = []

    def looked(path: str) -> Any:
        read.append(str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", looked)
    assert keepers(tmp_path, monkeypatch) == [f"{tmp_path}/etc/own/saved", f"{tmp_path}/etc/rules/saved"]
    assert not any("a share" in path for path in read)
