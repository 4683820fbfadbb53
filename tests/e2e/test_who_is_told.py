"""Each turn of an incident is told once, to whom it is for, in the right words; what does not get out is said, and told later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.test_approving import act_as
from tests.receiver import Receiver
from tests.shop import Shop

SECRET = "s3same-canary"  # noqa: S105 - it must not get out


@pytest.fixture
def receivers() -> Iterator[dict[str, Receiver]]:
    """A server for those who respond, and one for customers."""
    found = {"on_call": Receiver(), "public": Receiver()}
    yield found
    for receiver in found.values():
        receiver.stop()


@pytest.fixture
def shop(tmp_path: Path, receivers: dict[str, Receiver]) -> Iterator[Shop]:
    """A shop whose newer release is broken; two people must approve what is done about it, and both sides are told."""
    shop = Shop(tmp_path)
    kinds = {"on_call": "on_call", "public": "customers"}
    for name, receiver in receivers.items():
        (tmp_path / name).write_text(f"json://127.0.0.1:{receiver.port}/{SECRET}\n")
    shop.lay_out(
        audiences={name: {"kind": kind, "send": [{"file": str(tmp_path / name)}]} for name, kind in kinds.items()},
        severities={"low": {"approvals": 2, "contain": ["maintenance_mode"], "notify": ["on_call", "public"]}},
        mitigate=[],
    )
    with shop.broken(3):
        yield shop


def told(receiver: Receiver) -> list[str]:
    return [
        message["title"].partition(" INC-")[2][19:] or message["title"] for _path, _headers, message in receiver.got
    ]


def test_each_turn_is_told_once_in_the_right_words(
    shop: Shop, receivers: dict[str, Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_call, public = receivers["on_call"], receivers["public"]
    act_as(monkeypatch, "ada")
    for words in (("run", "--severity", "low", "--yes", f"checkout: password={SECRET}"), ("resume",)):
        assert shop.run(*words).returncode == 10
    assert told(on_call) == ["declared", "waits for a decision"]
    assert told(public) == ["shop: investigating"]

    on_call.status = 429  # it takes no more for a while
    assert shop.run("decide", "rollback").returncode == 10
    assert "not told yet: on_call about awaited: it was not accepted" in shop.run("status", inventory=False).stdout
    on_call.status = 200
    assert shop.run("followup", inventory=False).returncode == 0
    assert "not told yet" not in shop.run("status", inventory=False).stdout
    on_call.got.remove(on_call.got[-2])  # what it did not take
    assert told(on_call)[2:] == ["waits for an approval"]

    # What is gone back to is broken by now, too.
    app = shop.root / "releases/41/app.py"
    working = app.read_text()
    app.write_text("raise SystemExit(1)\n")
    act_as(monkeypatch, "bob")
    failed = shop.run("decide", "rollback", "--plan", shop.status()["plans"]["rollback"]["hash"])
    assert failed.returncode == 12, failed.stderr
    assert told(on_call)[3:] == ["decided", "waits for a decision"]
    assert "recover went wrong on this-machine: rollback failed: " in on_call.got[-1][2]["message"]
    assert "Contained: this-machine maintenance_mode shop." in on_call.got[-1][2]["message"]

    app.write_text(working)
    shop.deploy("41")
    closed = shop.run("decide", "wait")
    assert closed.returncode in (0, 11), closed.stderr
    assert told(on_call)[5:] == ["decided", "resolved", "closed"]
    assert told(public)[1:] == ["shop: identified", "shop: identified", "shop: resolved"]

    texts = [message["title"] + message["message"] for receiver in receivers.values() for _, _, message in receiver.got]
    assert not [text for text in texts if SECRET in text]
    keys = Counter(line for text in texts for line in text.splitlines() if line.startswith("Message: "))
    assert set(keys.values()) == {1}
    assert "not told yet" not in shop.run("status", str(shop.status()["incident_id"]), inventory=False).stdout
