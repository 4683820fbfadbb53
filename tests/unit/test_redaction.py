"""Secrets are taken out of text, whatever it is; what is plain stays as it is, and nothing takes long."""

from __future__ import annotations

import sys
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentctl import redaction
from incidentctl.redaction import LONGEST_LINE, Redactor, for_people, redact

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
import redaction as corpus

ROWS = tuple(corpus.corpus(seed=11, each=2))
ORDINARY = tuple(corpus.ordinary(400, seed=11))
KNOWN = tuple(row for row in ROWS if not row.held_out)


def shown(row: corpus.Row) -> str:
    return f"{row.kind} / {row.place}"


@pytest.mark.parametrize("row", KNOWN, ids=shown)
def test_a_secret_of_every_kind_is_nowhere_in_what_is_left(row: corpus.Row) -> None:
    found = redact(row.text)
    assert not corpus.is_left(row, found.text), found.text
    assert "[redacted: " in found.text
    assert sum(found.counts.values()) >= found.text.count("[redacted: ")


def test_most_secrets_are_found_where_no_rule_was_made_for_the_place() -> None:
    held_out = [row for row in ROWS if row.held_out]
    found = sum(not corpus.is_left(row, redact(row.text).text) for row in held_out)
    assert found / len(held_out) > 0.85


def test_lines_that_only_speak_of_secrets_stay_as_they_are() -> None:
    assert [line for line in ORDINARY if redact(line).text != line] == []


@pytest.mark.parametrize(
    "line",
    [
        'FATAL: password authentication failed for user "shop"',
        "request_id=4b6c1f0a-93c7-4a3e-9b1e-5d2f0a7c8e11 trace=4bf92f3577b34da6a3ce929d0e0e4736",
        "sha256:" + "9f86d081884c7d65" * 4,
        "git checkout 3b18e512dba79e4c8300dd08aeb37f8e728b8dad",
        "restic --password-file /etc/incidentctl/restic -r /var/backups/incidentctl snapshots",
        "host 10.213.77.11 answered from fd00::12:7 in 12 ms",
        "http://10.0.0.1:8080/path@v2?x=1",
        "password: ${DB_PASSWORD}",
        "DB_PASSWORD={{ vault_password }}",
        "conn = connect(user=user, password=password, token=self.token)",
        "token: null, secret: none, password: ********",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0b2xkYXJlYWxrZXlub3RvbmVhdGFsbDEy ada@laptop",
        "-----BEGIN CERTIFICATE-----",
        "max_tokens=4096 password_min_length=12",
    ],
)
def test_what_is_plain_stays(line: str) -> None:
    assert redact(line).text == line


def test_what_was_taken_out_is_named_by_its_rule_and_counted() -> None:
    found = redact("A_PASSWORD=hunter22 B_PASSWORD=hunter33\nredis://:hunter44@cache/0")
    assert (
        found.text
        == "A_PASSWORD=[redacted: assignment] B_PASSWORD=[redacted: assignment]\nredis://:[redacted: url]@cache/0"
    )
    assert found.counts == {"assignment": 2, "url": 1}


def test_a_private_key_is_taken_out_whole_and_the_lines_around_it_stay() -> None:
    body = "\n".join("MIIEowIBAAKCAQEA" + "x1Y2" * 12 for _ in range(20))
    text = f"before\n-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n{body}\nAg==\n-----END EC PRIVATE KEY-----\nafter"
    assert redact(text).text == "before\n[redacted: private-key]\nafter"


def test_a_private_key_that_never_ends_does_not_take_the_rest_of_the_log_with_it() -> None:
    lines = [f"line {number} of the log" for number in range(50)]
    left = redact("\n".join(["cannot read -----BEGIN PRIVATE KEY-----", *lines])).text.split("\n")
    assert left[0] == "cannot read [redacted: private-key]"
    assert left[-46:] == lines[-46:]


def test_a_hostile_log_cannot_have_itself_taken_out_by_one_key() -> None:
    lines = ["-----BEGIN PRIVATE KEY-----", *["A" * 64] * 2000, "the last line"]
    assert redact("\n".join(lines)).text.endswith("\nthe last line")


def test_a_line_without_end_is_left_out_whole() -> None:
    found = redact("before\n" + "x" * (LONGEST_LINE + 1) + " password=hunter22\nafter")
    assert found.text == "before\n[redacted: long-line]\nafter"


def test_lines_are_taken_one_after_the_other_in_bounded_memory() -> None:
    tracemalloc.start()
    for _line in Redactor().lines(f"{number} DB_PASSWORD=hunter22" for number in range(5_000)):
        pass
    _now, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1 << 19


@dataclass(frozen=True)
class Told:
    text: str
    more: tuple[str, ...] = ()


def test_every_text_of_a_value_is_redacted_however_deep_it_lies() -> None:
    said = "PGPASSWORD=hunter22"
    value = {"a": [said, {"b": (said, 7, None)}], "c": Told(said, (said,))}
    assert "hunter22" not in repr(for_people(value))
    assert for_people({"n": 7, "t": "plain"}) == {"n": 7, "t": "plain"}
    assert value["a"][0] == said  # type: ignore[index]


PLACES = st.sampled_from([row.text for row in ROWS]) | st.sampled_from(ORDINARY) | st.text(max_size=60)


@settings(deadline=None, max_examples=100)
@given(st.lists(PLACES, max_size=5), st.sampled_from(["\n", " ", "", "; ", '"']))
def test_redacted_text_stays_as_it_is(parts: list[str], between: str) -> None:
    once = redact(between.join(parts)).text
    assert redact(once).text == once


@settings(deadline=None, max_examples=100)
@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters=":=$-{~"), max_size=300))
def test_text_in_which_nothing_is_said_of_secrets_is_unchanged(text: str) -> None:
    lower = text.lower()
    if not any(hint in lower for rule in redaction.RULES for hint in rule.hints):
        assert redact(text).text == text


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(KNOWN), st.text(max_size=40), st.text(max_size=40))
def test_a_secret_on_a_line_of_its_own_is_found_whatever_stands_above_and_below(
    row: corpus.Row, above: str, below: str
) -> None:
    above = above.replace("-----", "")
    assert not corpus.is_left(row, redact(f"{above}\n{row.text}\n{below}").text)


HOSTILE = """
    password=|password: |eyJ|eyJa.eyJ|://|://a:|://a:b@|authorization: |cookie: a=b;|mysql |mysql -p|curl |curl -u a:|sk-|sk-a
    --password |key=|key: "|a@|$1$|-----BEGIN PRIVATE KEY-----|' |token,|pass" : |sig=|8Q~|glpat-|SG.|AKIA|sess_id=|bearer
    machine login password |a:5432:b:c:|password "|identified by |<password>
"""


@pytest.mark.parametrize("piece", [piece for row in HOSTILE.split("\n") for piece in row.lstrip().split("|") if piece])
def test_no_hostile_line_makes_a_rule_take_steps_that_grow_faster_than_it(piece: str) -> None:
    """Time is not measured: of what is found, and looked at, there is no more than the line has pieces."""
    looked = 0
    line = (piece * (LONGEST_LINE // len(piece)))[: LONGEST_LINE // 8]
    for rule in redaction.RULES:
        for _found in rule.pattern.finditer(line):
            looked += 1
    assert looked <= 2 * len(line)
