"""Plans that people approve: what tells one from another, what is a difference, and who counts as another person."""

from __future__ import annotations

from typing import Any

import pytest

from incidentctl import approval
from incidentctl.errors import UsageError
from incidentctl.incident import Event, fold
from incidentctl.outcome import HostOutcome

RELEASE = ({"release": "42"}, {"release": "41"})
HOSTS = ("web1", "web2")


def row(
    host: str, before: Any = RELEASE[0], after: Any = RELEASE[1], outcome: str = "done", **more: Any
) -> HostOutcome:
    ends = {} if outcome in ("refused", "failed") else {"before": before, "after": after}
    action = {"target": "shop", "outcome": outcome, "summary": more.pop("summary", "…"), **ends}
    return HostOutcome(host, more.pop("capability", "rollback"), outcome, actions=(action,), **more)


def plan(*rows: HostOutcome) -> dict[str, Any]:
    return approval.plan_of(rows, HOSTS, ("rollback", "isolation"))


APPROVED = plan(row("web1"), row("web2"))


def test_a_plan_is_known_by_its_ends_and_by_nothing_else() -> None:
    same = plan(row("web2", summary="another"), row("web1", outcome="unchanged", facts={"at": "now"}))
    assert same["hash"] == APPROVED["hash"]
    others = (
        plan(row("web1")),
        plan(row("web1"), row("web2", {"release": "43"})),
        plan(row("web1"), row("web2", after={"release": "40"})),
        plan(row("web1"), row("web2", capability="isolation")),
        plan(),
    )
    assert len({APPROVED["hash"], *(other["hash"] for other in others)}) == 6


def test_the_hash_is_over_the_sorted_targets_with_the_digests_of_their_ends() -> None:
    before, after = map(approval.digest, RELEASE)
    rows = [[host, "rollback", "shop", before, after] for host in HOSTS]
    assert APPROVED["hash"] == approval.digest(rows)


def test_nothing_counts_for_a_plan_that_is_not_said_from_where_to_where() -> None:
    silenced = HostOutcome(
        "web1", "rollback", "done", actions=({"target": "alerts", "outcome": "done", "summary": "…"},)
    )
    assert plan(row("web1"), row("web2"), silenced)["hash"] == APPROVED["hash"]


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (row("web2", {"release": "43"}), "web2: shop is at 43 now, 42 when it was approved"),
        (row("web2", after={"release": "40"}), "web2: shop would go to 40 now, 41 when it was approved"),
        (
            row("web2", outcome="refused", summary="no release before 42"),
            "web2: rollback of shop cannot be done now: no release",
        ),
        (row("web2", capability="isolation"), "web2: isolation of shop would be done now, and was not among"),
    ],
)
def test_what_is_another_than_was_approved_is_told_of_each_host(now: HostOutcome, told: str) -> None:
    found = approval.differences(APPROVED, plan(row("web1"), now), HOSTS, begun=False)
    assert found[0].startswith(told), found
    assert (
        approval.differences(APPROVED, plan(row("web1"), now), ["web1"], begun=False) == []
    )  # web2 is not meant this time


@pytest.mark.parametrize("outcome", ["unreachable", "unknown", "not_attempted"])
def test_a_host_that_does_not_answer_is_no_difference_and_one_that_was_not_seen_before_is(outcome: str) -> None:
    lost = plan(row("web1"), HostOutcome("web2", "rollback", outcome, "gone"))
    assert lost["silent"] == {"web2": f"{outcome}: gone"}
    assert approval.differences(APPROVED, lost, HOSTS, begun=False) == []
    assert len(approval.differences(lost, APPROVED, HOSTS, begun=False)) == 1


def test_what_the_decision_itself_did_is_no_difference() -> None:
    there = plan(row("web1"), row("web2", RELEASE[1], outcome="unchanged"))
    assert approval.differences(APPROVED, there, HOSTS, begun=True) == []
    assert len(approval.differences(APPROVED, there, HOSTS, begun=False)) == 1
    deployed = plan(row("web1"), row("web2", {"release": "43"}))
    assert len(approval.differences(APPROVED, deployed, HOSTS, begun=True)) == 1


def test_a_containment_that_is_half_there_leads_to_where_it_was_approved_to() -> None:
    stopped = {"runs": []}
    approved = plan(row("web1", {"runs": ["a", "b"]}, stopped, capability="isolation"))
    half = plan(row("web1", {"runs": ["b"]}, stopped, capability="isolation"))
    assert approval.differences(approved, half, HOSTS, begun=True) == []
    assert len(approval.differences(approved, half, HOSTS, begun=False)) == 1


def test_where_all_hosts_say_no_nothing_is_possible_and_where_they_are_silent_nobody_knows() -> None:
    assert approval.impossible(plan(row("web1", outcome="refused", summary="no way back"))) == "web1: no way back"
    assert approval.impossible(plan(row("web1"), row("web2", outcome="refused"))) == ""
    assert approval.impossible(plan(HostOutcome("web1", "rollback", "unreachable", "gone"))) == ""


def test_where_every_host_is_there_already_there_is_nothing_to_do_and_where_one_is_not_there_is() -> None:
    there = [row(name, RELEASE[1], outcome="unchanged") for name in HOSTS]
    told = "nothing to do: web1, web2: rollback of shop: 41 already"
    assert approval.impossible(plan(*there)) == told
    assert approval.impossible(plan(there[0], row("web2"))) == ""
    assert approval.impossible(plan(there[0], HostOutcome("web2", "rollback", "unreachable", "gone"))) == ""
    saved = HostOutcome("web1", "isolation", "done", actions=({"target": "shop", "outcome": "done", "summary": "…"},))
    assert approval.impossible(plan(*there, saved)) == told  # a silence is for what fires at the moment
    saved = HostOutcome("web1", "backup", "done", actions=saved.actions)
    assert approval.impossible(approval.plan_of([*there, saved], HOSTS, ("rollback", "backup"))) == ""
    refused = row("web2", outcome="refused", summary="no way back")
    assert approval.impossible(plan(there[0], refused)) == (
        "nothing to do: web1: rollback of shop: 41 already; web2: no way back (nothing is done there)"
    )


def test_what_every_host_skips_is_nothing_to_do() -> None:
    skipped = [HostOutcome(name, "isolation", "skipped", "no such service") for name in HOSTS]
    assert approval.impossible(plan(*skipped)) == "nothing to do: web1, web2: isolation is skipped: no such service"
    assert approval.impossible(plan(*skipped, row("web1"))) == ""
    assert approval.impossible(plan()) == ""  # nothing was said at all


def test_a_plan_is_named_by_enough_of_its_hash() -> None:
    assert approval.is_meant(APPROVED, APPROVED["hash"][:8].upper())
    assert not approval.is_meant(APPROVED, "00000000")
    for typed in (APPROVED["hash"][:7], "rollback", "", APPROVED["hash"] + "0"):
        with pytest.raises(UsageError):
            approval.is_meant(APPROVED, typed)


def test_a_playbook_of_ones_own_is_known_by_what_stands_in_it() -> None:
    one, other = (approval.plan_of_playbooks({"failover": digest}, HOSTS) for digest in ("aa", "bb"))
    assert one["hash"] != other["hash"]
    assert [r["host"] for r in one["rows"]] == list(HOSTS)


def test_one_person_on_two_machines_is_one_person() -> None:
    def event(seq: int, actor: str, kind: str, **data: Any) -> Event:
        return Event("INC", seq, "2026-01-01T00:00:00.000+00:00", actor, kind, data, "", "")

    decided = [event(1, "ada@ops1", "declared"), event(2, "ada@ops1", "decided", option="rollback", approvals=2)]
    assert approval.missing(fold(decided)) == 1
    again = event(3, "ada@ops2", "approved", decision=2)
    assert approval.missing(fold([*decided, again])) == 1
    for_another = event(3, "bob@ops1", "approved", decision=1)
    assert approval.missing(fold([*decided, for_another])) == 1
    bob = event(3, "bob@ops1", "approved", decision=2)
    assert (approval.missing(fold([*decided, bob])), approval.people(fold([*decided, bob]))) == (0, ("ada", "bob"))
    anew = event(4, "ada@ops1", "question_asked", question="?")
    assert approval.people(fold([*decided, bob, anew])) == ()
