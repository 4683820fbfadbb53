"""The question on a screen of 80x24: which way, what it costs, and why."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentctl import console_options
from incidentctl.options import Backup, Own, Writes, assess

from .test_options import DISK, READY, RELEASE, SHOP, SPACE, tried_before

LONG = "x" * 300
CASES = {
    "a rollback": replace(SHOP, causes=(RELEASE, DISK._replace(score=60)), solved=(tried_before("rollback", True),)),
    "a playbook": replace(SHOP, causes=(DISK,), custom=(SPACE, *(Own(f"failover{n}") for n in range(9)))),
    "nothing": replace(SHOP, rollback={}, mitigations=(), causes=(DISK,)),
    "data at risk": replace(
        SHOP, rollback={"shop": {**READY, "schema": {"state": "breaking", "reason": "drops a column"}}},
        backups={"shop": [Backup("web1 files /srv", "2026-01-13T02:00:00+00:00", Writes(1204, "files", True))]},
    ),
    "long texts": replace(
        SHOP, causes=(RELEASE._replace(title=LONG),), custom=(Own(LONG),),
        rollback={"shop": {**READY, "why": LONG, "schema": {"state": "breaking", "reason": LONG}}},
    ),
}  # fmt: skip


def rows(name: str) -> list[dict[str, Any]]:
    return [dataclasses.asdict(option) for option in assess(CASES[name])]


def shown(name: str, width: int = 80, height: int | None = 24) -> list[str]:
    return [line.plain for line in console_options.screen(rows(name), width, height)]


@pytest.mark.parametrize("name", CASES)
def test_it_fits_into_a_terminal_of_80_by_24_with_the_question(name: str) -> None:
    lines = shown(name)
    assert len(lines) <= 21
    assert max(map(len, lines)) <= 80


@given(st.sampled_from(sorted(CASES)), st.integers(40, 200))
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    assert all(len(line) <= width for line in shown(name, width, None))


def test_which_is_recommended_and_why_is_said_in_words_not_by_colour() -> None:
    lines = shown("a rollback")
    assert [line for line in lines if line.startswith(">")] == [lines[1]]
    assert lines[1].startswith("> A  Roll back the release")
    assert "A is recommended: " in "\n".join(lines)
    assert "None is recommended" in "\n".join(shown("nothing"))


def test_where_none_is_recommended_it_says_what_to_look_at() -> None:
    cause = {"title": LONG, "score": 12, "hosts": ["web1"]}
    lines = [line.plain for line in console_options.screen(rows("nothing"), 80, 24, {"causes": [cause]})]
    assert not any(line.startswith(">") for line in lines)
    assert "None is recommended: too little is known. Look first at the likeliest cause" in " ".join(lines)
    assert len(lines) <= 21


def test_each_row_has_its_figures_and_what_is_impossible_its_reason() -> None:
    lines = shown("a rollback")
    assert all(text in lines[1] for text in ("95 %", "2 min (default)", "none: the data stays"))
    assert any(line.startswith("  B  not possible: shop: no hotfix command") for line in lines)


def test_the_writes_since_the_backup_stand_whole_beside_whole_titles() -> None:
    lines = shown("data at risk")
    assert any(
        "Roll back the release" in line and line.endswith("  1,204+ writes since 02:00 UTC") for line in lines
    ), lines
    assert "data: web1 files /srv: at least 1,204 files written since the last verified backup" in " ".join(
        " ".join(line.plain for line in console_options.facts(rows("data at risk"), "a", 80)).split()
    )


def test_steps_that_do_not_fit_are_left_out_whole_and_it_says_where_they_are() -> None:
    lines = shown("a playbook")
    assert lines[-1] == "  i and a letter shows what each would do"
    assert "D would: free_space: run it on the incident's hosts, see health hold" in "\n".join(lines)
    assert not any("i and a letter" in line for line in shown("a playbook", height=None))


def test_a_log_gets_all_of_it() -> None:
    assert "failover8" in "\n".join(shown("a playbook", height=None))


@pytest.mark.parametrize(
    ("word", "letter"),
    [("i", "A"), ("?", "A"), ("i b", "B"), ("ib", "B"), ("?e", "E"), ("i z", None), ("b", None), ("", None)],
)
def test_i_asks_for_the_facts_of_an_option(word: str, letter: str | None) -> None:
    assert console_options.asked_about(word, rows("a rollback")) == letter


def test_the_facts_of_an_option_are_all_that_its_figures_were_made_from() -> None:
    options = rows("a rollback")
    text = " ".join(" ".join(line.plain.split()) for line in console_options.facts(options, "a", 80))
    for fact in options[0]["because"]:
        assert " ".join(fact.split()) in text
    (head, why) = (line.plain for line in console_options.facts(options, "b", 200))
    assert head == "B  Deploy a hotfix: not possible"
    assert "no hotfix command" in why


def test_what_hosts_said_cannot_move_the_cursor() -> None:
    options = [{**option, "reason": "\x1b[2J", "title": "a\nb"} for option in rows("a rollback")]
    assert all(line.plain.isprintable() for line in console_options.screen(options, 80, 24))
