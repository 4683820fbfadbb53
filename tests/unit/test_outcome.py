"""Outcomes: one for each host and capability, the worst first."""

from __future__ import annotations

import pytest

from incidentctl.errors import RefusedError
from incidentctl.outcome import HostOutcome, Step, capability_of, merged, story, worst


def test_an_act_and_its_confirmation_are_one_outcome() -> None:
    act = HostOutcome("web1", "rate_limit", "done", actions=({"target": "80", "outcome": "done", "entry": "000001"},))
    confirmed = HostOutcome("web1", "rate_limit", "unchanged", actions=({"target": "80", "outcome": "unchanged"},))
    both = merged(act, confirmed)
    assert both.outcome == "done"
    assert both.actions == ({"target": "80", "outcome": "done", "entry": "000001"},)


def test_an_act_whose_delivery_failed_has_failed() -> None:
    act = HostOutcome("web1", "log_collection", "done", facts={"members": 3})
    lost = HostOutcome("web1", "log_collection", "failed", reason="the bundle did not arrive")
    assert (merged(act, lost).outcome, merged(act, lost).reason) == ("failed", "the bundle did not arrive")
    assert merged(act, lost).facts == {"members": 3}


def test_why_one_task_had_nothing_to_do_is_no_reason_when_another_acted() -> None:
    nothing = HostOutcome("web1", "circuit_breaker", "skipped", reason="no breaker on this host has an endpoint")
    cut = HostOutcome("web1", "circuit_breaker", "done")
    assert (merged(nothing, cut).outcome, merged(nothing, cut).reason) == ("done", "")


def test_what_must_be_looked_at_first_is_the_worst() -> None:
    assert worst(["done", "unreachable", "failed"]) == "failed"
    assert worst(["skipped", "unchanged", "done"]) == "done"
    assert worst([]) == "skipped"


def test_a_playbook_of_the_users_own_is_named_by_its_file() -> None:
    assert capability_of("/srv/books/flush-cache.yml") == "flush-cache"
    assert capability_of("rollback") == "rollback"


def test_what_many_hosts_share_is_told_once_and_what_is_wrong_by_name() -> None:
    act = ({"target": "shop", "outcome": "done", "summary": "shop stopped"},)
    rows = [HostOutcome(f"web{number}", "isolation", "done", actions=act) for number in range(4)]
    rows += [
        HostOutcome("web8", "isolation", "unknown", "timed out"),
        HostOutcome("web9", "isolation", "not_attempted", "–"),
    ]
    assert list(story(rows)) == [
        ("4 hosts", "done", "shop stopped"),
        ("web8", "unknown", "isolation unknown: timed out"),
    ]
    assert list(story(rows[:3])) == [("web0, web1, web2", "done", "shop stopped")]


def test_what_changed_nothing_is_told_where_it_is_news() -> None:
    told = {
        "target": "shop",
        "outcome": "unchanged",
        "summary": "shop is limited already; held back 4,812",
        "news": True,
    }
    rows = [HostOutcome("web1", "rate_limit", "unchanged", actions=(told, {**told, "news": False}))]
    assert list(story(rows)) == [("web1", "unchanged", "shop is limited already; held back 4,812")]


@pytest.mark.parametrize(
    "value", ['{{ lookup("pipe", "id") }}', ["shop", "{% set x = 1 %}"], {"shop": ["{# x #}"]}, {"{{ x }}": "a"}]
)
def test_what_ansible_would_run_as_a_template_is_in_no_step(value: object) -> None:
    with pytest.raises(RefusedError, match="rollback_only holds what Ansible would run"):
        Step("recover", ("rollback",), ("web1",), {"incident_id": "x", "rollback_only": value}, deadline_s=1.0)


def test_a_brace_alone_is_no_template() -> None:
    assert Step("recover", (), (), {"one": "{a} % {b}", "two": [1, None, True]}, deadline_s=1.0).variables["one"]
