"""What rules held back: the kernel's figures as they are, in words, and nothing that nobody knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _held_back, _rule_removal
from ansible_collections.incidentctl.response.plugins.module_utils._held_back import Figures

UNDO = {"families": ["ipv4", "ipv6"], "table": "mangle", "chains": ["incidentctl-a"]}
ATTEMPT = "attempt to connect"
SAVED = """\
[99:9] -A PREROUTING -p tcp -j incidentctl-a
[5:300] -A incidentctl-a -i lo -j RETURN
[{one}:9] -A incidentctl-a -m hashlimit --hashlimit-above 10/min --hashlimit-mode srcip -m recent --set --name ic{n} -j DROP
[{all}:9] -A incidentctl-a -p tcp -m hashlimit --hashlimit-above 500/min --hashlimit-name icx -j DROP
[7:9] -A incidentctl-ab -p tcp -j DROP
"""


@pytest.fixture
def saved(tools: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """The rules of each family, with what they counted; IPv4 remembers two sources, IPv6 one."""
    said = {"iptables-save": SAVED.format(one=4000, all=100, n=4), "ip6tables-save": SAVED.format(one=812, all=20, n=6)}

    def call(argv: list[str]) -> str:
        if argv[0] not in said:
            raise _rule_removal.RuleError("no such filter")
        return said[argv[0]]

    monkeypatch.setattr(_rule_removal, "call", call)
    monkeypatch.setattr(_held_back, "_MOST", tmp_path / "most")
    (tmp_path / "most").write_text("100\n")
    (tmp_path / "recent" / "ic4").write_text("src=192.0.2.1 ttl: 64\nsrc=192.0.2.2 ttl: 64\n")
    (tmp_path / "recent" / "ic6").write_text("src=2001:db8:: ttl: 64\n")
    return said


def test_figures_are_those_of_our_own_rules(saved: dict[str, str]) -> None:
    figures = _held_back.read(UNDO)
    assert figures == Figures({"ipv4": 4100, "ipv6": 832}, 120, 3, False)
    told = _held_back.told(figures, ATTEMPT, True)
    assert (
        told == "held back 4,812 attempts to connect from 3 sources, and 120 because all sources together were too many"
    )


def test_more_sources_than_the_kernel_remembers_are_at_least_so_many(saved: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "most").write_text("2\n")
    assert "from at least 3 sources" in _held_back.told(_held_back.read(UNDO), ATTEMPT, True)


def test_who_it_was_is_unknown_where_the_kernel_does_not_say(saved: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "recent" / "ic6").unlink()
    assert "attempts to connect from an unknown number of sources" in _held_back.told(
        _held_back.read(UNDO), ATTEMPT, True
    )


def test_how_much_is_unknown_where_one_family_does_not_answer(saved: dict[str, str]) -> None:
    del saved["ip6tables-save"]
    figures = _held_back.read(UNDO)
    assert figures.packets == {"ipv4": 4100, "ipv6": None}
    assert _held_back.told(figures, ATTEMPT, True) == "held back an unknown number of attempts to connect"


@pytest.mark.parametrize(
    ("figures", "what", "by_source", "words"),
    [
        (Figures({"ipv4": 0}, 0, 0, False), ATTEMPT, True, "held back nothing"),
        (Figures({"ipv4": 1}, 0, 1, False), ATTEMPT, True, "held back 1 attempt to connect from 1 source"),
        (Figures({"ipv4": 2}, 2, None, False), ATTEMPT, True, "held back 2 because all sources together were too many"),
        (Figures({"ipv4": 1200, "ipv6": 1}, 0, None, False), "packet", False, "held back 1,201 packets"),
    ],
)
def test_in_words(figures: Figures, what: str, by_source: bool, words: str) -> None:
    assert _held_back.told(figures, what, by_source) == words


def test_a_kernel_without_the_memory_is_known_for_it(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _held_back.remembers()
    (tmp_path / "recent").rmdir()
    asked: list[Any] = []
    monkeypatch.setattr(_rule_removal, "tool", lambda name: name)
    monkeypatch.setattr(_rule_removal, "call", asked.append)
    assert not _held_back.remembers()
    assert asked == [["modprobe", "--quiet", "xt_recent"]]
