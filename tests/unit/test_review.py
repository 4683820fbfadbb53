"""A hotfix is shown to a person before it is carried out, and what they reviewed is what is deployed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from incidentctl.desk import Desk, record_decision
from incidentctl.errors import DecisionAwaited, RefusedError, UsageError
from incidentctl.outcome import HostOutcome, Outcome, Step
from incidentctl.phases import decision, recovery, review
from incidentctl.plan import Inventory, PlannedStep, Service
from incidentctl.record import open_record
from incidentctl.settings import Settings
from incidentctl.standing import standing

ONE = "INC-20260101-0000-aaaa"
SHA, OTHER = "a" * 64, "b" * 64
BUILD = {"context": "/srv/src"}
SHOP = Service("shop", ("web1", "web2"), True, True, (), {"releases": {"kind": "compose_image", "build": BUILD}})
STEP = PlannedStep("recover", ("hotfix",), ("web1", "web2"), ())


@pytest.fixture
def shown() -> list[str]:
    return []


@pytest.fixture
def desk(tmp_path: Path, shown: list[str]) -> Iterator[Desk]:
    """An incident for which a hotfix is decided."""

    def show(kind: str, **facts: Any) -> None:
        shown.extend([facts["text"]] if kind == "note" else [])

    settings = Settings.model_validate({"state_dir": str(tmp_path)}, context={"folder": tmp_path})
    with open_record(f"sqlite:///{tmp_path}/record.db") as record:
        facts = {
            "title": "x",
            "severity": "medium",
            "services": ["shop"],
            "affected": ["shop"],
            "hosts": ["web1", "web2"],
        }
        record.append(ONE, "declared", facts, "ann")
        hosts = Inventory({"web1": frozenset(), "web2": frozenset()}, (SHOP,))
        found = Desk(ONE, record, settings, hosts, (), "ann@desk", show, lambda *_words, **_facts: None)
        decision.assess(found)
        found.note("question_asked", question="Which recovery?", options=["hotfix"])
        record_decision(found, "hotfix")
        yield found


def row(host: str, digest: str = SHA, outcome: str = "done", **build: Any) -> HostOutcome:
    facts = {"context": "/srv/src", "digest": digest, "files": 2, "changed": None, "revision": None, **build}
    told = f"shop: hotfix-1 would be built ({outcome})"
    action = {"target": "shop", "outcome": outcome, "summary": told}
    return HostOutcome(host, "hotfix", outcome, told, actions=(action,), facts={"services": {"shop": {"build": facts}}})


def seen(monkeypatch: pytest.MonkeyPatch, *rows: HostOutcome) -> None:
    outcome = Outcome(Step("review", ("hotfix",), ("web1", "web2"), deadline_s=60), rows, 0.1)
    monkeypatch.setattr(review, "rehearse", lambda *_words: outcome)


def approvals(desk: Desk) -> list[dict[str, Any]]:
    return [event.data for event in desk.record.events(ONE) if event.kind == "approved"]


def test_without_a_name_nothing_is_deployed_and_the_advice_says_how(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, shown: list[str]
) -> None:
    changed = {"count": 12, "names": ["app.py"], "since": "42 was made"}
    revision = {"commit": "c0ffee" * 7, "subject": "Mend it", "uncommitted": 2}
    seen(monkeypatch, *(row(host, changed=changed, revision=revision) for host in ("web1", "web2")))
    monkeypatch.setattr(recovery, "run_rolling", lambda *_words: pytest.fail("it was deployed"))
    with pytest.raises(DecisionAwaited, match="by whom was the hotfix reviewed") as caught:
        recovery.recover(desk)
    assert f"incidentctl resume {ONE} --reviewed-by NAME" in caught.value.fix
    assert standing(desk.incident()).told == "a review: by whom was the hotfix reviewed?"
    assert shown == [
        "  on web1, web2: shop: hotfix-1 would be built (done)",
        "      12 changed since 42 was made: app.py and 11 more",
        "      commit c0ffeec0ffee, 2 uncommitted: Mend it",
        f"      sha256 {SHA[:12]}, the same on 2 hosts",
    ]


def test_what_was_reviewed_is_what_the_hosts_are_told_and_it_is_asked_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen(monkeypatch, row("web1"), row("web2"))
    told = review.reviewed(replace(desk, reviewed_by="Bob"), STEP, {})
    assert told == {"hotfix_reviewed": {"shop": SHA}, "hotfix_build_within_s": 420.0}
    assert review.number(desk) == 1
    asked = {"what": "review", "answer": "by Bob", "reviewer": "Bob", "builds": {"shop": SHA}}
    (noted,) = approvals(desk)
    assert {key: noted[key] for key in asked} == asked
    seen(monkeypatch, row("web1", OTHER), row("web2", OTHER))
    assert review.reviewed(desk, STEP, {}) == told
    desk.note("decided", option="hotfix")
    assert review.number(desk) == 2
    with pytest.raises(DecisionAwaited):
        review.reviewed(desk, STEP, {})


def test_hosts_of_which_each_would_build_something_else_are_refused_by_name(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen(monkeypatch, row("web1"), row("web2", OTHER))
    with pytest.raises(RefusedError, match="not the same on all hosts") as caught:
        review.reviewed(replace(desk, reviewed_by="Bob"), STEP, {})
    assert caught.value.why.splitlines() == [
        f"shop: web1 would be given sha256 {SHA[:12]}",
        f"shop: web2 would be given sha256 {OTHER[:12]}",
    ]
    assert approvals(desk) == []


def test_where_no_host_can_be_given_it_there_is_nothing_to_review(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    seen(monkeypatch, row("web1", outcome="refused"), HostOutcome("web2", "hotfix", "unreachable", "no route"))
    with pytest.raises(RefusedError, match="no host can be given the hotfix") as caught:
        review.reviewed(replace(desk, reviewed_by="Bob"), STEP, {})
    assert "web2: unreachable: no route" in caught.value.why


def test_what_a_host_says_instead_of_a_digest_never_reaches_ansible(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen(monkeypatch, row("web1", '{{ lookup("pipe", "id") }}'), row("web2", '{{ lookup("pipe", "id") }}'))
    assert review.reviewed(replace(desk, reviewed_by="Bob"), STEP, {})["hotfix_reviewed"] == {}


def test_a_service_that_only_a_host_knows_never_reaches_ansible(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    forged = '{{ lookup("pipe", "id") }}'
    both = {"services": {"shop": row("web1").facts["services"]["shop"], forged: {"build": {"digest": SHA}}}}
    actions = tuple({"target": name, "outcome": "done", "summary": "built"} for name in ("shop", forged))
    seen(monkeypatch, HostOutcome("web1", "hotfix", "done", actions=actions, facts=both))
    assert review.reviewed(replace(desk, reviewed_by="Bob"), STEP, {})["hotfix_reviewed"] == {"shop": SHA}


@pytest.mark.parametrize(
    ("build", "line"),
    [
        ({"changed": {"count": "x", "names": ["a"], "since": "now"}}, "what changed since the last build is unknown"),
        ({"changed": {"count": 3, "names": None, "since": "now"}}, "what changed since the last build is unknown"),
        ({"changed": ["x"]}, "what changed since the last build is unknown"),
        ({"revision": {"uncommitted": 1}}, "the commit is unknown"),
        ({"revision": "x"}, "the commit is unknown"),
    ],
)
def test_a_host_that_says_anything_is_asked_about_all_the_same(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, shown: list[str], build: dict[str, Any], line: str
) -> None:
    other = HostOutcome("web2", "hotfix", "done", actions=row("web2").actions, facts={"services": {"shop": "x"}})
    seen(monkeypatch, row("web1", **build), other)
    with pytest.raises(DecisionAwaited):
        review.reviewed(desk, STEP, {})
    assert f"      {line}" in shown


def test_who_decided_may_review_and_is_told_that_two_see_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, shown: list[str]
) -> None:
    seen(monkeypatch, row("web1"), row("web2"))
    review.reviewed(replace(desk, reviewed_by=None, ask=lambda *_words, **_facts: "Ann"), STEP, {})
    assert shown[-1] == "Ann decided it, too: a second pair of eyes would see more."
    assert approvals(desk)[0]["reviewer"] == "Ann"


@pytest.mark.parametrize("typed", ["", "  ", "a\nb", "x" * 101, "\x1b[31m"])
def test_a_name_that_is_none_is_refused(typed: str) -> None:
    with pytest.raises(UsageError, match="--reviewed-by needs the name"):
        review.reviewer(typed)


def test_an_image_that_is_on_these_hosts_alone_is_followed_up() -> None:
    outcome = Outcome(
        Step("recover", ("hotfix",), ("web1", "web2"), deadline_s=60), (row("web1"), row("web2", outcome="failed")), 0.1
    )
    assert list(review.unfinished(outcome)) == [
        "Release the hotfix of shop in the ordinary way: its image is on web1 alone"
    ]
