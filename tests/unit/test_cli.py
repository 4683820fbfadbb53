"""The words of the command line: fast help, an example everywhere, clear usage errors."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import click
import pytest

from incidentctl.cli import EXIT_CODES, cli, main
from incidentctl.steps import Interrupted

HEAVY = ("ansible", "ansible_runner", "apprise", "jinja2", "platformdirs", "pydantic", "rich", "sqlalchemy", "yaml")
COMMANDS = sorted(cli.commands.items())


def test_help_imports_nothing_heavy_and_of_ours_only_the_commands() -> None:
    code = "import sys\nfrom incidentctl import cli\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert not {name.partition(".")[0] for name in loaded} & set(HEAVY), "imported above the commands"
    ours = {name for name in loaded if name.startswith("incidentctl.") and not name.startswith("incidentctl.cli")}
    assert ours == {"incidentctl.errors"}, "imported above the commands"


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_every_command_says_what_it_does_and_every_option_too(name: str, command: click.Command) -> None:
    assert command.short_help
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.name}"


def test_the_help_tells_all_exit_codes() -> None:
    for code in (0, 1, 2, 3, 10, 11, 12, 13, 14, 15, 130):
        assert f" {code}  " in EXIT_CODES


def incidentctl(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "incidentctl", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["frobnicate"], "No such command"),
        (["run", "--sevrity", "high", "x"], "Did you mean"),
        (["run", "--severity", "high", "-rf"], "Fix: put -- before a text"),
        (["status", "--al"], "Fix: incidentctl status --help shows which there are"),
        (["note", " "], "The text is empty: nothing is recorded."),
        (["cancel", ""], "The reason is empty: nothing is recorded."),
        (["run", "--dry-run", "x"], "Fix: incidentctl plan --check shows"),
        (["watch", "--times", "0"], "--times"),
        (["decide"], "decide takes the option"),
    ],
)
def test_wrong_words_are_a_usage_error(words: list[str], told: str) -> None:
    done = incidentctl(*words)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_without_an_inventory_nobody_is_asked_for_a_severity() -> None:
    done = incidentctl("run", "checkout is down")
    assert done.returncode == 3
    assert "There is no inventory" in done.stderr
    assert "severity" not in done.stderr


def test_ctrl_c_in_a_command_that_acts_is_told_and_no_internal_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(**_words: object) -> None:
        raise Interrupted("lift")

    monkeypatch.setattr(cli.commands["lift"], "callback", stopped)
    monkeypatch.setattr(sys, "argv", ["incidentctl", "lift"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    assert capsys.readouterr().err.strip().startswith("Interrupted in lift.")


def test_a_full_disk_is_no_internal_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(**_words: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/state/report.md")

    monkeypatch.setattr(cli.commands["report"], "callback", full)
    monkeypatch.setattr(sys, "argv", ["incidentctl", "report"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == 1
    assert "Internal error" not in said
    assert "/state/report.md" in said
    assert "INCIDENTCTL_STATE_DIR" in said


def test_what_a_terminal_cannot_show_ends_no_command() -> None:
    code = """
import sys
from incidentctl.cli import cli, main
cli.commands["report"].callback = lambda **_: print("\u2713 \u2026 \u00fc")
sys.argv = ["incidentctl", "report"]
main()
"""
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("+ ... ?\n", "")
