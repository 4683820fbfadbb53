"""`incidentctl init`: what it writes can be used at once, and nothing that is there is overwritten."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import check

from incidentctl import plan, settings, starter
from incidentctl.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
# A line that is a setting when its `# ` is taken away, and no prose.
_COMMENTED = re.compile(r'^(\s*)# (?=\s*(?:[a-z_"]+:(?: |$)|- ))', re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    starter.write(tmp_path)
    return tmp_path


def incidentctl(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "incidentctl", *words]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE_", "INCIDENTCTL_"))}
    env |= {"XDG_STATE_HOME": str(cwd / "state"), "PYTHONPATH": str(ROOT / "driver")}
    return subprocess.run(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def load(path: Path) -> settings.Settings:
    return settings.load(path, {}, path.parent, frozenset(plan.CONTAINMENTS))


def catalogue(path: Path) -> Any:
    return yaml.safe_load(path.read_text())["incident_services"]


def test_it_writes_the_files_and_says_which(tmp_path: Path) -> None:
    done = incidentctl("init", "here", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    written = [tmp_path / line for line in done.stdout.splitlines()]
    assert written == [tmp_path / "here" / place for place in starter.FILES.values()]
    assert all(path.is_file() for path in written)


@pytest.mark.parametrize("place", starter.FILES.values())
def test_it_overwrites_nothing_and_then_writes_nothing(tmp_path: Path, place: str) -> None:
    mine = tmp_path / place
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text("mine\n")
    with pytest.raises(UsageError, match="Nothing was written") as told:
        starter.write(tmp_path)
    assert str(mine) in told.value.why
    assert mine.read_text() == "mine\n"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine]


def test_what_it_writes_plans_at_once(folder: Path) -> None:
    done = incidentctl("plan", cwd=folder)
    assert done.returncode == 0, done.stderr
    told = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert ["scale_down", "recommendations on web1.example.com"] in told
    assert ["prepare_rollback", "checkout on web1.example.com"] in told


def test_what_stands_there_uncommented_is_the_default(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.yml").write_text("")
    written, default = load(folder / "incidentctl.yml"), load(tmp_path / "empty.yml")
    assert written.inventory == folder / "inventory"
    assert written.model_copy(update={"inventory": None}) == default


@pytest.mark.parametrize("tracker", ["webhook", "github"])
def test_every_commented_setting_can_be_used(folder: Path, tracker: str) -> None:
    path = folder / "incidentctl.yml"
    one_tracker = re.sub(rf"^(?:# )?tracker: \{{kind: (?!{tracker}).*\n", "", path.read_text(), flags=re.MULTILINE)
    path.write_text(_COMMENTED.sub(r"\1", one_tracker))
    (folder / "playbooks").mkdir()
    for own in ("failover", "free_space"):
        (folder / "playbooks" / f"{own}.yml").write_text("[]\n")
    loaded = load(path)
    assert loaded.state_dir == folder / "state"
    assert loaded.tracker.kind == tracker
    assert set(loaded.audiences) == {"on_call", "management"}
    assert set(loaded.custom_playbooks) == {"failover", "free_space"}


def test_the_catalogue_is_right_also_with_its_commented_lines(folder: Path) -> None:
    path = folder / "inventory" / "group_vars" / "all.yml"
    assert check(catalogue(path)) == []
    assert "on" in catalogue(path)[0]["maintenance"], "YAML made a boolean of it"
    text = path.read_text().replace("manager: systemd ", "manager: command ", 1)
    # The other kind of releases stands in the place of the first.
    text = re.sub(r"    releases:\n(?:      .*\n)+", "", text)
    path.write_text(_COMMENTED.sub(r"\1", text))
    services = catalogue(path)
    assert services[0]["control"]["start"] == ["/srv/checkout/bin/ctl", "start"]
    assert services[0]["releases"]["kind"] == "command"
    assert check(services) == []


def test_the_hosts_can_be_uncommented_too(folder: Path) -> None:
    path = folder / "inventory" / "hosts.yml"
    path.write_text(_COMMENTED.sub(r"\1", path.read_text()))
    (host,) = yaml.safe_load(path.read_text())["all"]["children"]["web"]["hosts"].values()
    assert host["ansible_connection"] == "local"
