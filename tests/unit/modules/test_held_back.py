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
[{one}:9] -A incidentctl-a -m multiport --dports 8000,8443 -m hashlimit --x-mode srcip -m recent --set --name ic{n} -j DROP
[{all}:9] -A incidentctl-a -p tcp -m hashlimit --hashlimit-above 500/min --hashlimit-name icx -j DROP
[300:9] -A incidentctl-a -p tcp -m multiport --dports 8000,8443 -j RETURN
[7:9] -A incidentctl-ab -p tcp -j DROP
"""


def remember(folder: Path, name: str, **sources: Any) -> None:
    """Have the kernel remember when these sources came last."""
    lines = [
        f"src={source} ttl: 64 last_seen: {times[-1]} oldest_pkt: {len(times)} {', '.join(map(str, times))}"
        for source, times in sources.items()
    ]
    (folder / "recent" / name).write_text("\n".join([*lines, ""]))


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
    (tmp_path / "times").write_text("0\n")
    remember(tmp_path, "ic4", **{"192.0.2.1": range(100, 132), "192.0.2.2": [90, 95]})
    remember(tmp_path, "ic6", **{"2001:db8::": [7] * 32})
    return said


def test_figures_are_those_of_our_own_rules(saved: dict[str, str]) -> None:
    figures = _held_back.read(UNDO)
    busiest = (("192.0.2.1", 3998), ("2001:db8::", 812), ("192.0.2.2", 2))
    assert figures == Figures({"ipv4": 4100, "ipv6": 832}, 120, 3, False, 600, (8000, 8443), busiest)
    assert _held_back.told(figures, ATTEMPT, True) == (
        "held back 4,812 attempts to connect from 3 sources (83% from 192.0.2.1), "
        "and 120 because all sources together were too many"
    )
    assert _held_back.as_data(figures) == {
        "ports": [8000, 8443],
        "dropped": 4932,
        "passed": 600,
        "sources": 3,
        "more_sources": False,
        "busiest": [{"source": source, "dropped": count} for source, count in busiest],
    }


def test_of_several_that_came_too_often_to_be_counted_none_is_guessed_and_the_busiest_is_first(
    saved: dict[str, str], tmp_path: Path
) -> None:
    slow, fast = range(0, 3200, 100), range(0, 32)
    remember(tmp_path, "ic4", **{"192.0.2.9": [5], "192.0.2.1": slow, "192.0.2.2": fast})
    figures = _held_back.read(UNDO)
    assert figures.busiest[:2] == (("192.0.2.2", None), ("192.0.2.1", None))
    assert ("192.0.2.9", 1) in figures.busiest
    assert "% from" not in _held_back.told(figures, ATTEMPT, True)


def test_where_the_list_is_full_others_may_have_been_forgotten_and_nobody_sent_the_rest(
    saved: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "most").write_text("2\n")
    assert dict(_held_back.read(UNDO).busiest)["192.0.2.1"] is None


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
