"""What the Tab key offers: names that there are, for every argument and option that takes one; else nothing, and no word."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest

from incidentctl.cli import cli
from incidentctl.record import open_record

OPEN, OTHER, CLOSED = "INC-20260102-0000-aaaa", "INC-20260103-0000-bbbb", "INC-20260101-0000-cccc"
DECLARED = {"title": "checkout, 500\nfor all", "severity": "high", "services": ["shop"], "hosts": ["web1"]}
OPTIONS = [
    {"key": "mitigate", "title": "Mitigate for now", "feasible": True, "confidence": 60},
    {"key": "rollback", "title": "Roll back", "feasible": False, "confidence": None, "why_not": "x"},
]
INVENTORY = """\
all:
  hosts: {web1: {}}
  vars:
    incident_services:
      - {name: shop, hosts: web1, user_facing: true}
      - name: payments
        hosts: web1
        secret: !vault |
          $ANSIBLE_VAULT;1.1;AES256
          3061
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration with three incidents, of which one has ended."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "failover.yml").write_text("[]\n")
    (folder / "inventory.yml").write_text(INVENTORY)
    (folder / "incidentctl.yml").write_text(
        "{state_dir: state, inventory: inventory.yml, custom_playbooks: {failover: failover.yml}, "
        "drills: {folder: drills, hosts: all}}\n"
    )
    (folder / "drills" / "full").mkdir(parents=True)
    (folder / "drills" / "full" / "drill.yml").write_text("broken: [\n")
    with open_record(f"sqlite:///{folder}/state/record.db") as record:
        for number in (CLOSED, OPEN, OTHER):
            record.append(number, "declared", {**DECLARED, "services": [number]}, "ada")
        record.append(CLOSED, "closed", {}, "ada")
        record.append(OPEN, "options_assessed", {"options": OPTIONS}, "ada")
        held = {"host": "web1", "capability": "isolation", "entry": "000001-isolation-shop", "target": "shop"}
        record.append(OPEN, "containment_applied", held, "ada")
        record.append(OTHER, "decided", {"option": "hotfix"}, "ada")
    return folder


def offered(folder: Path, words: str, shell: str = "fish", **environ: str) -> list[str]:
    """What is offered for the last word of a line, as fish gets it: kind,name TAB what it is."""
    *_, last = line = words.split(" ")
    given = {"COMP_WORDS": " ".join(["incidentctl", *line]), "COMP_CWORD": last if shell == "fish" else str(len(line))}
    env = {**os.environ, "_INCIDENTCTL_COMPLETE": f"{shell}_complete", **given, **environ}
    script = Path(sys.executable).with_name("incidentctl")
    done = subprocess.run([script], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=30)
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


def names(folder: Path, words: str) -> list[str]:
    return [line.partition(",")[2].partition("\t")[0] for line in offered(folder, words)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("resume ", [OTHER, OPEN]),
        ("resume inc-20260102", [OPEN]),
        ("status ", [OTHER, OPEN, CLOSED]),
        ("reopen ", [CLOSED]),
        ("note x --incident ", [OTHER, OPEN]),
        (f"decide {OPEN} ", ["mitigate"]),
        (f"decide {OTHER} ", ["rollback", "hotfix", "mitigate", "custom", "wait"]),
        ("decide m", ["mitigate"]),
        (f"decide {OPEN}", [OPEN]),
        (f"decide {OTHER} mitigate --instead-of ", ["hotfix"]),
        (f"resume {OPEN} --option ", ["mitigate"]),
        ("run --option ", ["rollback", "hotfix", "mitigate", "custom", "wait"]),
        ("run --severity ", ["critical", "high", "medium", "low"]),
        ("severity c", ["critical"]),
        ("run --service ", ["shop", "payments"]),
        ("play isolation --service pay", ["payments"]),
        ("play iso", ["isolation"]),
        ("play isolation --override contr", ["controller"]),
        ("run --playbook ", ["failover"]),
        ("drill ", ["full"]),
        (f"lift {OPEN} --only ", ["isolation/shop"]),
    ],
)
def test_names_that_there_are_are_offered(site: Path, words: str, expected: list[str]) -> None:
    assert names(site, words) == expected


def test_it_is_said_what_each_of_them_is(site: Path) -> None:
    assert offered(site, "resume inc-20260102") == [f"plain,{OPEN}\thigh identified: checkout, 500\\nfor all"]
    assert offered(site, f"decide {OPEN} ") == ["plain,mitigate\tMitigate for now (60 % sure)"]


@pytest.mark.parametrize(
    "words", ["resume ", "decide INC", "run --service ", "drill ", "run --playbook ", "lift --only "]
)
def test_where_there_is_nothing_nothing_is_offered_said_or_made(tmp_path: Path, words: str) -> None:
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    assert offered(tmp_path, words, **home) == []
    (tmp_path / "incidentctl.yml").write_text("{severities: [: broken\n")
    assert offered(tmp_path, words, **home) == []
    assert [path.name for path in tmp_path.iterdir()] == ["incidentctl.yml"]


def test_a_database_that_is_away_does_not_keep_the_terminal(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    (tmp_path / "incidentctl.yml").write_text("record_url: postgresql+psycopg://nobody@192.0.2.1/none\n")
    begun = time.monotonic()
    assert offered(tmp_path, "resume ") == []
    assert time.monotonic() - begun < 60  # the kernel gives up after two minutes


def test_it_needs_no_ansible(site: Path) -> None:
    code = "import sys\nfrom incidentctl import candidates\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"ansible", "ansible_runner", "apprise", "jinja2", "rich"}
    assert names(site, "resume ")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_a_line(site: Path) -> None:
    script = (
        'eval "$(_INCIDENTCTL_COMPLETE=bash_source incidentctl)"; COMP_WORDS=(incidentctl resume INC-20260102); '
        'COMP_CWORD=2; _incidentctl_completion incidentctl; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=site, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert (done.stdout.split(), done.stderr) == ([OPEN], "")


def _takes_a_name(parameter: click.Parameter) -> bool:
    return parameter.name in ("incident", "join", "option", "instead_of", "severity", "level", "services", "override")


def test_every_argument_and_option_that_takes_such_a_name_offers_it() -> None:
    without: list[tuple[str, Any]] = [
        (name, parameter.name)
        for name, command in cli.commands.items()
        for parameter in command.params
        if _takes_a_name(parameter) and parameter._custom_shell_complete is None
    ]
    assert without == []
