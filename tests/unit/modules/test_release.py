"""A rollback is rehearsed without a change, seen healthy, and reversible."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _backup_list,
    _control,
    _durable,
    _health,
    _ledger,
    _release,
    _release_history,
    _release_symlink,
)
from tests.small_service import SmallService, as_nobody, open_folder


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallService]:
    monkeypatch.setattr(_ledger, "VOLATILE_DIR", str(tmp_path / "run"))
    monkeypatch.setattr(_control, "WAIT_S", 3.0)
    monkeypatch.setattr(_health, "INTERVAL_S", 0.05)
    service = SmallService(tmp_path / "shop")
    yield service
    service.end()


def deploy(shop: SmallService, *releases: tuple[str, str]) -> None:
    """Lay out releases (name, health) and run the last one."""
    for name, health in releases:
        shop.release(name, health)
    shop.point(releases[-1][0])
    shop.start()


def params(shop: SmallService, state: str = "rolled_back", **more: Any) -> dict[str, Any]:
    return {
        "state": state,
        "to": None,
        "remember": False,
        "within_s": 1.0,
        "window_s": 0.2,
        "services": [shop.entry("health", "releases")],
        "only": ["shop"],
        "host_name": "h1",
        "host_groups": [],
        "incident_id": "INC-1",
        "state_dir": str(shop.home.parent / "state"),
        **more,
    }


def act(given: dict[str, Any], check_mode: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    block = _release.run(given, check_mode)["incident"]
    return block["actions"][0], block["facts"]["services"].get("shop", {})


def sha256(release: str) -> str:
    return hashlib.sha256(release.encode()).hexdigest()


def states(given: dict[str, Any]) -> list[str]:
    return [entry["state"] for entry in _ledger.entries(given)[0]]


def at(shop: SmallService) -> str:
    return str(shop.current.readlink())


def bad(given: dict[str, Any]) -> set[str]:
    return _release_history.known_bad(given, "shop")


# Which release


@pytest.mark.parametrize(
    ("names", "current", "before"),
    [
        (["100", "41", "42"], "100", "42"),
        (["100", "41", "42"], "42", "41"),
        (["1.9", "1.10", "1.11"], "1.10", "1.9"),
        (["v1.9.9", "v1.10.0"], "v1.10.0", "v1.9.9"),
        (["20260101T0900", "20251231T2359", "20260101T1000"], "20260101T0900", "20251231T2359"),
        (["r2-b10", "r2-b9", "r10-b1"], "r10-b1", "r2-b10"),
        (["01", "1", "2"], "2", "1"),
        (["alpha", "7"], "alpha", "7"),
    ],
)
def test_the_candidate_is_the_release_before_in_natural_order(
    shop: SmallService, names: list[str], current: str, before: str
) -> None:
    for name in names:
        shop.release(name)
    shop.point(current)
    shop.start()
    row, facts = act(params(shop, "prepared"))
    assert (row["outcome"], facts["from"], facts["to"]) == ("unchanged", current, before)
    assert row["news"]  # it is shown, though nothing was done


def test_natural_order_is_a_total_order() -> None:
    names = ["".join(letters) for size in range(5) for letters in itertools.product("019.a", repeat=size)]
    turned = names[::-1]
    assert sorted(names, key=_release_symlink.natural) == sorted(turned, key=_release_symlink.natural)


def test_a_known_bad_release_is_no_candidate_unless_it_is_named(shop: SmallService) -> None:
    deploy(shop, ("40", "200"), ("41", "200"), ("42", "200"))
    given = params(shop, "prepared")
    _release_history.condemn(given, "shop", "41", "40")
    assert act(given)[1]["to"] == "40"
    assert act({**given, "to": "41"})[1]["to"] == "41"
    _release_history.condemn(given, "shop", "40", "39")
    row, facts = act(given)
    assert (row["outcome"], facts["feasible"], row["news"]) == ("skipped", False, True)
    assert "but 40 (known bad), 41 (known bad)" in facts["reason"]


def test_an_unreadable_list_of_bad_releases_is_no_empty_one(shop: SmallService) -> None:
    deploy(shop, ("41", "200"), ("42", "200"))
    given = params(shop, "prepared")
    _release_history.condemn(given, "shop", "9", "10")
    Path(given["state_dir"], "releases", "shop.json").write_text("{")
    assert "known bad releases are unknown" in act(given)[1]["reason"]


def noted(given: dict[str, Any], *seen: tuple[str, bool]) -> None:
    for release, healthy in seen:
        _release_history.note(given, "shop", release, healthy)


def test_where_nothing_is_known_it_is_the_release_before_and_that_is_said(shop: SmallService) -> None:
    deploy(shop, ("40", "200"), ("41", "200"), ("42", "500"))
    row, facts = act(params(shop, "prepared"))
    assert facts["why"] == "the release before 42; nothing is known of its health here"
    assert f"from 42 to 41 ({facts['why']})" in row["summary"]


def test_the_last_one_seen_healthy_is_taken_whatever_the_times_of_the_folders(shop: SmallService) -> None:
    deploy(shop, ("40", "200"), ("41", "200"), ("42", "500"))
    given = params(shop, "prepared")
    noted(given, ("40", True), ("41", True), ("41", False))
    os.utime(shop.home / "releases" / "40")  # the newest, as a copy would make it
    facts = act(given)[1]
    assert (facts["to"], facts["why"][:32]) == ("41", "the last one seen healthy here, ")


def test_a_release_that_never_was_healthy_here_is_passed_over(shop: SmallService) -> None:
    deploy(shop, ("39", "200"), ("40", "200"), ("41", "200"), ("42", "500"))
    given = params(shop, "prepared")
    noted(given, ("40", True), ("41", False))
    facts = act(given)[1]
    assert facts["to"] == "40"
    assert facts["why"].startswith("the last one seen healthy here, 20")
    assert facts["why"].endswith(" UTC; passed over: 41 (seen here, never healthy)")
    noted(given, ("39", False), ("40", False))
    _release_history.condemn(given, "shop", "40", "38")
    row, facts = act(given)
    assert row["outcome"] == "skipped"
    assert facts["reason"].endswith("but 39 (seen here, never healthy), 40 (known bad), 41 (seen here, never healthy)")


def test_one_of_which_nothing_is_known_is_not_passed_over_for_an_old_one_but_that_one_is_named(
    shop: SmallService,
) -> None:
    deploy(shop, ("40", "200"), ("41", "200"), ("42", "500"))
    given = params(shop, "prepared")
    noted(given, ("40", True))
    facts = act(given)[1]
    assert facts["to"] == "41"
    assert "nothing is known of its health here (last seen healthy: 40, 20" in facts["why"]


@pytest.mark.parametrize(
    ("seen", "words"),
    [((), "nothing is known"), ((("41", False),), "never healthy"), ((("41", True),), "last seen healthy here 20")],
)
def test_of_a_named_release_all_is_said(shop: SmallService, seen: tuple[tuple[str, bool], ...], words: str) -> None:
    deploy(shop, ("41", "200"), ("42", "500"))
    given = params(shop, "prepared", to="41")
    noted(given, *seen)
    _release_history.condemn(given, "shop", "41", "40")
    facts = act(given)[1]
    assert facts["why"].startswith("named although it is known bad; ")
    assert words in facts["why"]


@pytest.mark.parametrize(("health", "word"), [("200", "healthy"), ("500", "sick")])
def test_the_end_of_a_deployment_is_remembered_where_that_is_asked_for(
    shop: SmallService, health: str, word: str
) -> None:
    deploy(shop, ("41", health))
    given = params(shop, "prepared", remember=True)
    _release.run(given, True)
    assert not Path(given["state_dir"]).exists(), "a check remembers nothing"
    answer = _release.run(given, False)
    assert answer["changed"] is False
    assert f"; noted: 41 is {word}" in answer["incident"]["actions"][0]["summary"]
    shop.end()
    deploy(shop, ("42", "500"))
    row, facts = act({**given, "remember": False})
    assert facts["to"] == ("41" if health == "200" else None), row["summary"]


def test_a_rollback_that_helped_is_remembered_and_one_that_did_not_is_not(shop: SmallService) -> None:
    deploy(shop, ("40", "500"), ("41", "200"), ("42", "500"))
    given = params(shop)
    act(given)
    shop.release("43", "500")
    shop.point("43")
    facts = act({**given, "state": "prepared"})[1]
    assert facts["to"] == "41"
    assert facts["why"].startswith("the last one seen healthy here, 20")
    assert facts["why"].endswith("passed over: 42 (known bad)")
    shop.point("41")
    # As sick as the one that it was to help: that need not be its own fault.
    assert act({**given, "to": "40", "incident_id": "INC-2"})[0]["outcome"] == "failed"
    facts = act({**given, "state": "prepared"})[1]
    assert (facts["to"], facts["why"]) == ("40", "the release before 41; nothing is known of its health here")


def test_what_an_older_version_wrote_is_understood(shop: SmallService) -> None:
    deploy(shop, ("40", "200"), ("41", "200"), ("42", "500"))
    given = params(shop, "prepared")
    path = Path(given["state_dir"], "releases", "shop.json")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"bad": [{"release": "41", "at": "", "incident": "INC-0"}]}))
    facts = act(given)[1]
    assert facts["to"] == "40"
    assert facts["why"].startswith("the nearest before 42 not known to be bad; nothing is known")


def test_two_that_remember_at_once_lose_nothing(shop: SmallService) -> None:
    given = params(shop)
    writers = [
        threading.Thread(target=lambda part=part: noted(given, *[(f"{part}-{n}", True) for n in range(10)]))
        for part in range(3)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(_release_history._read(_release_history._path(given, "shop"))["seen"]) == 30


# The rehearsal


def test_a_rehearsal_says_all_and_changes_nothing(shop: SmallService) -> None:
    deploy(shop, ("41", "200"), ("42", "500"))
    before = sorted(str(p) for p in shop.home.rglob("*"))
    answer = _release.run(params(shop, "prepared"), False)
    facts = answer["incident"]["facts"]["services"]["shop"]
    assert answer["incident"]["capability"] == "prepare_rollback"
    assert (answer["incident"]["outcome"], answer["changed"]) == ("unchanged", False)
    assert facts.pop("deployed_at").endswith("+00:00")
    assert facts == {
        "kind": "symlink",
        "backed_up_at": None,
        "from": "42",
        "to": "41",
        "why": "the release before 42; nothing is known of its health here",
        "feasible": True,
        "reason": None,
        "migrations": None,
        "migrations_reason": "unknown: the service declares no folder of migrations",
        "schema": {
            "state": "unknown",
            "reversible": None,
            "reason": "the service declares no folder of migrations",
            "operations": [],
        },
        "rehearsed": True,
    }
    assert sorted(str(p) for p in shop.home.rglob("*")) == before
    assert not (shop.home.parent / "state").exists()


def test_a_rehearsal_of_another_incident_does_not_get_into_the_way_of_a_switch(
    shop: SmallService, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(shop, ("40", "200"), ("41", "200"), ("42", "500"))
    real = os.lchown

    def meanwhile(*words: Any) -> None:
        _release_symlink.rehearse(params(shop)["services"][0], "40", False)
        real(*words)

    monkeypatch.setattr(os, "lchown", meanwhile)
    assert act(params(shop))[0]["outcome"] == "done"
    assert at(shop) == "releases/41"


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("only one", "no release before 42"),
        ("current is a folder", "is not a symlink"),
        ("current is missing", "is not a symlink"),
        ("points outside", "no folder right under"),
        ("points too deep", "no folder right under"),
        ("points at a link", "no folder right under"),
        ("empty candidate", "release 41 is empty"),
        ("no such release", "there is no release 7 in"),
        ("out of root", "there is no release ../shop in"),
        ("to itself", "42 is the current release"),
        ("cannot be controlled", "cannot be controlled"),
        ("no status", "No such file or directory"),
    ],
)
def test_what_cannot_be_rolled_back_is_skipped_with_the_reason(shop: SmallService, case: str, words: str) -> None:
    shop.release("42")
    shop.point("42")
    shop.start()
    given = params(shop, "prepared")
    root = shop.home / "releases"
    if case == "only one":
        (root / ".41").mkdir()
        (root / "41").write_text("a file is no release")
    elif case == "current is a folder":
        shop.current.unlink()
        shop.current.mkdir()
    elif case == "current is missing":
        shop.current.unlink()
    else:
        (root / "41").mkdir()
        if case != "empty candidate":
            (root / "41" / "health").write_text("200")
    if case == "points outside":
        shop.point("../server.py")
    elif case == "points too deep":
        (root / "42" / "public").mkdir()
        shop.point("42/public")
    elif case == "points at a link":
        (root / "latest").symlink_to("42")
        shop.point("latest")
    given["to"] = {"no such release": "7", "out of root": "../shop", "to itself": "42"}.get(case)
    if case == "cannot be controlled":
        del given["services"][0]["manager"]
    elif case == "no status":
        given["services"][0]["control"]["status"] = ["/no/such/program"]
    row, facts = act(given)
    assert row["outcome"] == "skipped"
    assert words in facts["reason"]
    assert words in row["summary"]
    assert facts["rehearsed"] is False


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="root alone can become somebody who may not")


@as_root
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_folder_that_may_not_be_written_fails_the_rehearsal(check_mode: bool) -> None:
    with open_folder() as folder:
        shop = SmallService(folder / "shop")
        deploy(shop, ("41", "200"), ("42", "200"))
        row, facts = as_nobody(lambda: act(params(shop, "prepared"), check_mode))
        shop.end()
    assert (row["outcome"], facts["feasible"], facts["rehearsed"]) == ("skipped", True, False)
    assert ("cannot be written" if check_mode else "Permission denied") in facts["reason"]


@as_root
def test_a_candidate_that_may_not_be_read_is_not_feasible() -> None:
    with open_folder() as folder:
        shop = SmallService(folder / "shop")
        deploy(shop, ("41", "200"), ("42", "200"))
        (shop.home / "releases" / "41").chmod(0o700)
        _row, facts = as_nobody(lambda: act(params(shop, "prepared")))
        shop.end()
    assert facts["reason"] == "release 41 cannot be read"


def test_the_migrations_between_two_releases_are_told_in_words(shop: SmallService) -> None:
    shop.release("41", migrations={"V1__orders.sql": "CREATE TABLE orders (id int);"})
    more = {"V2__note.sql": "ALTER TABLE orders ADD COLUMN note text;", "U2__note.sql": "ALTER TABLE orders DROP note;"}
    shop.release("42", migrations={"V1__orders.sql": "CREATE TABLE orders (id int);", **more})
    shop.point("42")
    shop.start()
    given = params(shop, "prepared")
    given["services"][0]["releases"]["migrations"] = "migrations/"
    row, facts = act(given)
    words = "schema: 1 migration between: adds column orders.note (the old release can run on it)"
    assert row["summary"].endswith(words)
    assert (facts["migrations"], facts["migrations_reason"]) == (["V2__note.sql"], None)
    assert facts["schema"]["state"] == "compatible"
    assert facts["schema"]["operations"] == ["adds column orders.note"]
    assert (facts["schema"]["reversible"], facts["schema"]["reason"]) == (True, "the older release can run on it")


def test_a_repeatable_migration_counts_when_its_content_differs(shop: SmallService) -> None:
    shop.release("41", migrations={"R__view.sql": "one", "V1.sql": "x"})
    shop.release("42", migrations={"R__view.sql": "two", "V1.sql": "x"})
    shop.point("42")
    shop.start()
    given = params(shop, "prepared")
    given["services"][0]["releases"]["migrations"] = "migrations"
    row, facts = act(given)
    assert facts["migrations"] == ["R__view.sql"]
    assert "schema: 1 migration between: unknown, ask: " in row["summary"]
    assert facts["schema"]["state"] == "unknown"


@pytest.mark.parametrize("without", ["41", "42"])
def test_migrations_are_unknown_where_a_folder_is_missing(shop: SmallService, without: str) -> None:
    for name in ("41", "42"):
        shop.release(name, migrations=None if name == without else {"V1.sql": ""})
    shop.point("42")
    shop.start()
    given = params(shop, "prepared")
    given["services"][0]["releases"]["migrations"] = "migrations"
    row, facts = act(given)
    assert (row["outcome"], facts["migrations"]) == ("unchanged", None)
    assert facts["migrations_reason"].startswith("unknown: ")
    assert f"{without}/migrations" in facts["migrations_reason"]


# The rollback


def test_a_sick_release_gives_way_to_the_one_before(shop: SmallService) -> None:
    deploy(shop, ("41", "200"), ("42", "500"))
    given = params(shop)
    answer = _release.run(given, False)
    row, facts = answer["incident"]["actions"][0], answer["incident"]["facts"]["services"]["shop"]
    assert (row["outcome"], row["verified"], answer["changed"]) == ("done", True, True)
    assert row["summary"] == "shop went back from 42 to 41: 200"
    assert at(shop) == "releases/41"
    assert (facts["from"], facts["to"], facts["forward_again"]) == ("42", "41", False)
    assert 0 < facts["seconds"] < 60
    assert (facts["health_before"]["status"], facts["health_after"]["status"]) == (500, 200)
    assert answer["diff"] == [{"before_header": "shop", "before": "current -> 42\n", "after": "current -> 41\n"}]
    assert states(given) == ["applied"]
    assert bad(given) == {"42"}
    path = Path(given["state_dir"], "releases", "shop.json")
    assert json.loads(path.read_text())["bad"][0]["incident"] == "INC-1"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_intent_is_on_disk_when_the_switch_happens(shop: SmallService, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(shop, ("41", "200"), ("42", "500"))
    given = params(shop)
    real, seen = _release_symlink._switch, []

    def switch(link: Path, to: str) -> None:
        seen.append(_ledger.entries(given)[0][0])
        real(link, to)

    monkeypatch.setattr(_release_symlink, "_switch", switch)
    act(given)
    (entry,) = seen
    assert (entry["state"], entry["capability"], entry["target"]) == ("intended", "rollback", "shop")
    assert (entry["prior"]["release"], entry["prior"]["health"]["status"]) == ("42", 500)
    undo = entry["undo"]
    assert (undo["kind"], undo["keep"], undo["from"], undo["to"]) == ("release_switch", True, "41", "42")
    assert undo["service"]["name"] == "shop"
    assert undo["releases"] == given["services"][0]["releases"]


def test_readers_never_see_the_link_missing(shop: SmallService) -> None:
    for name in ("41", "42"):
        shop.release(name)
    shop.point("42")
    over, misses, reads = threading.Event(), [], [0]

    def read() -> None:
        while not over.is_set() or reads[0] < 1000:
            try:
                (shop.current / "health").read_text()
            except OSError as error:
                misses.append(error)
            reads[0] += 1

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(200):
        _release_symlink._switch(shop.current, ("41", "42")[turn % 2])
    over.set()
    reader.join()
    assert (misses, reads[0] >= 1000) == ([], True)


@pytest.mark.parametrize("absolute", [True, False])
def test_the_link_stays_as_it_was_but_for_the_release(shop: SmallService, absolute: bool) -> None:
    deploy(shop, ("41", "200"), ("42", "500"))
    before = shop.home / "releases" if absolute else Path("releases")
    shop.current.unlink()
    shop.current.symlink_to(before / "42")
    if os.geteuid() == 0:
        os.lchown(shop.current, 65534, 65534)
    owner = shop.current.lstat()
    act(params(shop))
    assert shop.current.readlink() == before / "41"
    after = shop.current.lstat()
    assert (after.st_uid, after.st_gid) == (owner.st_uid, owner.st_gid)


def test_run_twice_goes_back_once(shop: SmallService) -> None:
    deploy(shop, ("40", "200"), ("41", "200"), ("42", "500"))
    given = params(shop)
    act(given)
    answer = _release.run(given, False)
    row, facts = answer["incident"]["actions"][0], answer["incident"]["facts"]["services"]["shop"]
    assert (row["outcome"], row["verified"], answer["changed"]) == ("unchanged", True, False)
    assert (facts["from"], facts["to"], at(shop), states(given)) == ("42", "41", "releases/41", ["applied"])


def test_run_twice_says_so_when_the_older_release_has_fallen_ill(shop: SmallService) -> None:
    deploy(shop, ("41", "200"), ("42", "500"))
    given = params(shop)
    act(given)
    shop.end()
    row, _facts = act(given)
    assert (row["outcome"], row["verified"]) == ("unchanged", False)
    assert "no answer" in row["summary"]


def test_a_named_release_goes_further_back_in_the_same_incident_and_a_rerun_stays(shop: SmallService) -> None:
    deploy(shop, ("40", "200"), ("41", "200"), ("42", "500"))
    given = params(shop)
    act(given)
    assert act({**given, "to": "40"})[0]["outcome"] == "done"
    assert at(shop) == "releases/40"
    assert act(given)[0]["outcome"] == "unchanged"
    assert act({**given, "to": "40"})[0]["outcome"] == "unchanged"
    assert (at(shop), bad(given)) == ("releases/40", {"41", "42"})


def test_after_a_failed_try_further_back_a_rerun_still_stays(shop: SmallService) -> None:
    deploy(shop, ("39", "200"), ("40", "500"), ("41", "200"), ("42", "500"))
    given = params(shop)
    act(given)
    assert act({**given, "to": "40"})[0]["outcome"] == "failed"
    assert act(given)[0]["outcome"] == "unchanged"
    assert at(shop) == "releases/41"


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_host_stays_at_the_release_that_others_go_back_to(shop: SmallService, check_mode: bool) -> None:
    deploy(shop, ("40", "200"), ("41", "200"))
    row, facts = act(params(shop, stay_at={"shop": [sha256("41"), sha256("39")]}), check_mode)
    assert (row["outcome"], row["before"], row["after"]) == ("unchanged", {"release": "41"}, {"release": "41"})
    assert "is at 41 already" in row["summary"]
    assert (at(shop), facts["why"]) == ("releases/41", "others go back to it")


@pytest.mark.parametrize("more", [{"stay_at": {"shop": []}}, {"stay_at": {"other": ["41"]}}, {"to": "40"}, {}])
def test_a_host_at_another_release_or_told_one_by_name_goes_back(shop: SmallService, more: dict[str, Any]) -> None:
    deploy(shop, ("40", "200"), ("41", "200"))
    row, facts = act(params(shop, **{"stay_at": {"shop": [sha256("41" if "to" in more else "39")]}, **more}))
    assert (row["outcome"], facts["to"], at(shop)) == ("done", "40", "releases/40")


def test_another_incident_may_go_further_back(shop: SmallService) -> None:
    deploy(shop, ("40", "200"), ("41", "200"), ("42", "500"))
    act(params(shop))
    row, facts = act(params(shop, incident_id="INC-2"))
    assert (row["outcome"], facts["to"]) == ("done", "40")


@pytest.mark.parametrize(
    ("old", "new", "figures"),
    [
        ("silent", "500", ("no answer", "(500)")),
        ("500", "500", ("(500)", "(500)")),
        ("503", "200", ("(503)", "(200)")),
        ("crash", "500", ("nothing came of it", "(500)")),
        ("crash", "silent", ("nothing came of it", "no answer")),
    ],
)
def test_a_release_that_is_no_better_goes_forward_again(
    shop: SmallService, old: str, new: str, figures: tuple[str, str]
) -> None:
    deploy(shop, ("41", old), ("42", new))
    given = params(shop)
    answer = _release.run(given, False)
    row, facts = answer["incident"]["actions"][0], answer["incident"]["facts"]["services"]["shop"]
    assert (row["outcome"], row["verified"], facts["forward_again"]) == ("failed", False, True)
    assert "release 41 is no better" in row["summary"]
    assert row["summary"].endswith("forward again to 42")
    assert row["summary"].index(figures[0]) < row["summary"].rindex(figures[1])
    assert (facts["health_after"]["healthy"], facts["seconds"]) == (False, None)
    assert (at(shop), shop.running()) == ("releases/42", True)
    assert (states(given), bad(given)) == (["lifted"], set())


def test_forward_undoes_the_rollback_of_the_incident_whatever_health_says_and_marks_the_older_one_bad(
    shop: SmallService,
) -> None:
    deploy(shop, ("41", "200"), ("42", "500"))
    act(params(shop))
    forward = params(shop, "forward")
    assert act(forward, check_mode=True)[0]["summary"] == "shop would go forward again from 41 to 42"
    assert at(shop) == "releases/41"
    row, facts = act(forward)
    assert (row["outcome"], row["verified"], at(shop)) == ("done", False, "releases/42")
    assert row["summary"] == "shop went forward again from 41 to 42: 500"
    assert (facts["from"], facts["to"], facts["health_before"]["status"]) == ("41", "42", 200)
    assert states(forward) == ["lifted"]
    assert bad(forward) == {"41"}
    again, _facts = act(forward)
    assert (again["outcome"], again["summary"]) == ("skipped", "shop: this incident rolled nothing back here")


def test_forward_that_was_cut_off_after_the_switch_is_brought_to_its_end(
    shop: SmallService, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(shop, ("41", "200"), ("42", "200"))
    act(params(shop))
    with monkeypatch.context() as cut:
        cut.setattr(_ledger, "mark", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            act(params(shop, "forward"))
    assert (at(shop), states(params(shop))) == ("releases/42", ["applied"])
    assert act(params(shop, "forward"))[0]["outcome"] == "done"
    assert states(params(shop)) == ["lifted"]


def test_forward_that_was_cut_off_before_the_restart_runs_the_newer_one_in_the_end(
    shop: SmallService, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(shop, ("41", "200"), ("42", "500"))
    act(params(shop))
    with monkeypatch.context() as cut:
        cut.setattr(_control, "restart", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            act(params(shop, "forward"))
    assert (at(shop), states(params(shop))) == ("releases/42", ["applied"])
    row, _facts = act(params(shop, "forward"))
    assert row["summary"].endswith(": 500"), "the older one still runs"
    assert states(params(shop)) == ["lifted"]


def test_a_command_that_has_no_way_forward_stays_and_says_so(shop: SmallService) -> None:
    deploy(shop, ("41", "200"), ("42", "500"))
    act(params(shop, services=[by_command(shop)]))
    row, _facts = act(params(shop, "forward", services=[by_command(shop)]))
    assert (row["outcome"], at(shop)) == ("failed", "releases/41")
    assert "shop declares no forward command" in row["summary"]


def test_a_release_that_is_sick_but_better_stays(shop: SmallService) -> None:
    deploy(shop, ("41", "503"), ("42", "silent"))
    given = params(shop)
    row, facts = act(given)
    assert (row["outcome"], facts["forward_again"], at(shop)) == ("failed", False, "releases/41")
    assert "is not healthy, but better (503)" in row["summary"]
    assert row["summary"].endswith("it stays")
    assert (states(given), bad(given)) == (["applied"], set())
    assert act(given)[0]["outcome"] == "unchanged"


def test_a_switch_that_fails_restarts_nothing(shop: SmallService, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(shop, ("41", "200"), ("42", "500"))
    given, pid = params(shop), shop.pid.read_text()

    def read_only(*_words: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(_release_symlink, "_switch", read_only)
    row, facts = act(given)
    assert (row["outcome"], facts["forward_again"]) == ("failed", False)
    assert row["summary"] == "shop stays at 42: [Errno 30] Read-only file system"
    assert (at(shop), shop.pid.read_text(), states(given)) == ("releases/42", pid, ["lifted"])


def test_what_a_rehearsal_finds_in_the_way_refuses_the_rollback(
    shop: SmallService, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(shop, ("41", "200"), ("42", "500"))
    given, pid = params(shop), shop.pid.read_text()

    def full(*_words: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_release_symlink, "_link_beside", full)
    row, _facts = act(given)
    assert row["outcome"] == "refused"
    assert row["summary"] == "shop cannot be rolled back: [Errno 28] No space left on device"
    assert (at(shop), shop.pid.read_text(), states(given)) == ("releases/42", pid, [])


def test_going_forward_that_fails_too_is_said_and_stays_open(shop: SmallService) -> None:
    deploy(shop, ("41", "crash"), ("42", "500"))
    (shop.home / "releases" / "42" / "health").write_text("crash")
    given = params(shop)
    row, facts = act(given)
    assert (row["outcome"], facts["forward_again"]) == ("failed", False)
    assert "going forward again failed" in row["summary"]
    assert (at(shop), states(given)) == ("releases/42", ["intended"])


def test_a_rollback_that_was_interrupted_after_the_switch_is_finished(shop: SmallService) -> None:
    deploy(shop, ("40", "200"), ("41", "200"), ("42", "500"))
    given = params(shop)
    plain = {k: v for k, v in given.items() if k != "to"}
    undo = {"kind": "release_switch", "keep": True, "from": "41", "to": "42"}
    undo.update(service=_control.handle(given["services"][0]), releases=given["services"][0]["releases"])
    seen = {"healthy": False, "status": 500, "latency_ms": 1.0, "detail": "500"}
    _ledger.intend(plain, "rollback", "shop", {"release": "42", "health": seen}, undo)
    shop.point("41")
    pid = shop.pid.read_text()
    assert act(given, check_mode=True)[0]["summary"] == "shop: the interrupted rollback to 41 would be finished"
    assert (shop.pid.read_text(), states(given)) == (pid, ["intended"])
    row, facts = act(given)
    assert (row["outcome"], row["verified"]) == ("done", True)
    assert (facts["from"], facts["to"], facts["health_before"]) == ("42", "41", seen)
    assert (at(shop), states(given), bad(given)) == ("releases/41", ["applied"], {"42"})
    assert shop.pid.read_text() != pid, "it was restarted"
    assert act(given)[0]["outcome"] == "unchanged"


def test_a_rollback_that_was_interrupted_before_the_switch_is_taken_up(
    shop: SmallService, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(shop, ("41", "200"), ("42", "500"))
    given = params(shop)

    class Killed(BaseException):
        pass

    def die(*_words: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(_release_symlink, "_switch", die)
        with pytest.raises(Killed):
            act(given)
    assert (at(shop), states(given)) == ("releases/42", ["intended"])
    assert act(given)[0]["outcome"] == "done"
    assert (at(shop), states(given)) == ("releases/41", ["applied"])


def test_going_forward_that_was_cut_off_while_nothing_ran_is_no_reason_to_stay_at_the_sick_one(
    shop: SmallService, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(shop, ("41", "500"), ("42", "503"))
    given = params(shop)
    real, starts = _control.start, []

    class Killed(BaseException):
        pass

    def start(service: dict[str, Any]) -> None:
        starts.append(service)
        if len(starts) == 2:
            raise Killed
        real(service)

    with monkeypatch.context() as patch:
        patch.setattr(_control, "start", start)
        with pytest.raises(Killed):
            act(given)
    assert (at(shop), shop.running(), states(given)) == ("releases/42", False, ["intended"])
    row, facts = act(given)
    assert (row["outcome"], facts["forward_again"], facts["health_before"]["status"]) == ("failed", True, 503)
    assert (at(shop), shop.running(), states(given)) == ("releases/42", True, ["lifted"])


def test_without_health_it_is_done_but_not_verified(shop: SmallService) -> None:
    deploy(shop, ("41", "200"), ("42", "200"))
    row, facts = act(params(shop, services=[shop.entry("releases")]))
    assert (row["outcome"], row["verified"]) == ("done", False)
    assert "health unknown" in row["summary"]
    assert (facts["health_before"], facts["health_after"], facts["seconds"]) == (None, None, None)


def test_without_health_a_release_that_does_not_start_goes_forward_again(shop: SmallService) -> None:
    deploy(shop, ("41", "crash"), ("42", "200"))
    row, facts = act(params(shop, services=[shop.entry("releases")]))
    assert (row["outcome"], facts["forward_again"], at(shop)) == ("failed", True, "releases/42")
    assert shop.running()


def test_a_bad_list_that_cannot_be_written_does_not_undo_a_good_rollback(
    shop: SmallService, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(shop, ("41", "200"), ("42", "500"))

    def full(*_words: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_release_history, "condemn", full)
    row, _facts = act(params(shop))
    assert (row["outcome"], at(shop)) == ("done", "releases/41")
    assert "could not be noted: [Errno 28]" in row["summary"]


def test_the_check_shows_the_switch_and_does_not_do_it(shop: SmallService) -> None:
    deploy(shop, ("41", "200"), ("42", "500"))
    given, pid = params(shop), shop.pid.read_text()
    answer = _release.run(given, True)
    assert answer["incident"]["actions"][0]["summary"] == "shop would go back from 42 to 41"
    assert answer["diff"] == [{"before_header": "shop", "before": "current -> 42\n", "after": "current -> 41\n"}]
    assert (at(shop), shop.pid.read_text()) == ("releases/42", pid)
    assert not Path(given["state_dir"]).exists()


def test_from_where_to_where_is_told_alike_before_the_act_and_after_it(shop: SmallService) -> None:
    deploy(shop, ("41", "200"), ("42", "500"))
    rows = [act(params(shop), check_mode)[0] for check_mode in (True, False, True)]
    assert [(row["outcome"], row["before"], row["after"]) for row in rows] == [
        (outcome, {"release": "42"}, {"release": "41"}) for outcome in ("done", "done", "unchanged")
    ]
    shop.point("41")
    refused, _facts = act(params(shop, to="40"), True)
    assert (refused["outcome"], "after" in refused) == ("refused", False)


def test_without_a_name_nothing_is_rolled_back(shop: SmallService) -> None:
    deploy(shop, ("41", "200"), ("42", "500"))
    answer = _release.run(params(shop, only=[]), False)
    assert (answer["incident"]["outcome"], at(shop)) == ("refused", "releases/42")


def test_what_cannot_be_rolled_back_is_refused(shop: SmallService) -> None:
    deploy(shop, ("42", "500"))
    given = params(shop)
    row, _facts = act(given)
    assert row["outcome"] == "refused"
    assert "no release before 42" in row["summary"]
    assert states(given) == []


def test_services_without_releases_are_told_apart(shop: SmallService) -> None:
    deploy(shop, ("41", "200"), ("42", "500"))
    plain = {"name": "plain", "hosts": "all"}
    given = params(shop, services=[plain, shop.entry("health", "releases")], only=["plain", "shop"])
    rows = _release.run({**given, "state": "prepared"}, False)["incident"]["actions"]
    assert [row["outcome"] for row in rows] == ["skipped", "unchanged"]
    rows = _release.run({**given, "state": "prepared", "only": []}, False)["incident"]["actions"]
    assert [row["target"] for row in rows] == ["shop"]
    rows = _release.run(given, False)["incident"]["actions"]
    assert [row["outcome"] for row in rows] == ["skipped", "done"]


# Releases that only the service's own commands know


def by_command(shop: SmallService, **more: list[str]) -> dict[str, Any]:
    """Let a script do what the symlink kind does by itself: it knows `previous` and `next`."""
    control = shop.entry()["control"]
    restart = (
        f"{' '.join(control['stop'][:1])} -c '{control['stop'][2]}'; while [ -e {shop.pid} ]; do sleep 0.02; done; "
    )
    restart += f"sh {shop.home}/start.sh; while [ ! -e {shop.pid} ]; do sleep 0.02; done"
    move = f"ln -sfn releases/$1 {shop.current} && echo moved $1 >>{shop.home}/moves; {restart}"
    (shop.home / "move.sh").write_text(move)
    releases = {
        "kind": "command",
        "current": ["sh", "-c", f"echo some noise; basename $(readlink {shop.current})"],
        "rollback": ["sh", f"{shop.home}/move.sh", "41"],
    }
    return shop.entry("health", releases={**releases, **more})


def moves(shop: SmallService) -> int:
    path = shop.home / "moves"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_rollback_command_is_run_once_and_verified(shop: SmallService) -> None:
    deploy(shop, ("41", "200"), ("42", "500"))
    given = params(shop, services=[by_command(shop)])
    check = _release.run(given, True)
    assert check["diff"][0]["after"] == "current -> what its rollback command chooses\n"
    assert moves(shop) == 0
    row, facts = act(given)
    assert (row["outcome"], row["verified"], facts["from"], facts["to"]) == ("done", True, "42", "41")
    assert act(given)[0]["outcome"] == "unchanged"
    assert (moves(shop), states(given)) == (1, ["applied"])


def test_a_rollback_command_that_was_interrupted_after_it_moved_is_not_run_again(
    shop: SmallService, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(shop, ("41", "200"), ("42", "500"))
    given = params(shop, services=[by_command(shop)])

    def die(*_words: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_ledger, "mark", die)
        with pytest.raises(KeyboardInterrupt):
            act(given)
    assert (moves(shop), states(given)) == (1, ["intended"])
    row, facts = act(given)
    assert (row["outcome"], facts["from"], facts["to"]) == ("done", "42", "41")
    assert (moves(shop), states(given)) == (1, ["applied"])


def test_a_command_goes_forward_again_if_it_can(shop: SmallService) -> None:
    deploy(shop, ("41", "503"), ("42", "500"))
    given = params(shop, services=[by_command(shop, forward=["sh", f"{shop.home}/move.sh", "42"])])
    row, facts = act(given)
    assert (row["outcome"], facts["forward_again"], at(shop)) == ("failed", True, "releases/42")
    assert row["summary"] == "shop: release 41 is no better (503) than 42 (500): forward again to 42"
    assert states(given) == ["lifted"]


def test_a_command_that_cannot_go_forward_says_so(shop: SmallService) -> None:
    deploy(shop, ("41", "503"), ("42", "500"))
    given = params(shop, services=[by_command(shop)])
    row, facts = act(given)
    assert (row["outcome"], facts["forward_again"], at(shop)) == ("failed", False, "releases/41")
    assert "shop declares no forward command" in row["summary"]
    assert states(given) == ["intended"]


@pytest.mark.parametrize(
    ("releases", "outcome", "words"),
    [
        ({"rollback": ["false"]}, "failed", "shop stays at 42: false: exited 1"),
        ({"rollback": ["true"]}, "failed", "but the release is still 42"),
        ({"rollback": "whoami"}, "refused", "must be a list of words"),
        ({"rollback": ["/no/such/program"]}, "refused", "there is no program"),
    ],
)
def test_a_rollback_command_that_fails_leaves_it_where_it_was(
    shop: SmallService, releases: dict[str, Any], outcome: str, words: str
) -> None:
    deploy(shop, ("41", "200"), ("42", "500"))
    given = params(shop, services=[by_command(shop, **releases)])
    row, _facts = act(given)
    assert (row["outcome"], at(shop), moves(shop)) == (outcome, "releases/42", 0)
    assert words in row["summary"]
    assert states(given) == (["lifted"] if outcome == "failed" else [])


@pytest.mark.parametrize(
    ("releases", "to", "words"),
    [
        ({"current": ["false"]}, None, "false: exited 1"),
        ({"current": ["true"]}, None, "said nothing"),
        ({"current": "whoami"}, None, "must be a list of words"),
        ({"rollback": ["/no/such/program"]}, None, "there is no program"),
        ({"rollback": "whoami"}, None, "must be a list of words"),
        ({}, "41", "chooses the release by itself"),
    ],
)
def test_what_a_command_cannot_do_shows_in_the_rehearsal(
    shop: SmallService, releases: dict[str, Any], to: str | None, words: str
) -> None:
    deploy(shop, ("41", "200"), ("42", "500"))
    given = params(shop, "prepared", services=[by_command(shop, **releases)], to=to)
    row, facts = act(given)
    assert (row["outcome"], facts["rehearsed"]) == ("skipped", False)
    assert words in facts["reason"]


def test_the_rehearsal_of_a_command_runs_nothing_but_current(shop: SmallService) -> None:
    deploy(shop, ("41", "200"), ("42", "500"))
    row, facts = act(params(shop, "prepared", services=[by_command(shop)]))
    assert (row["outcome"], facts["from"], facts["to"], facts["rehearsed"]) == ("unchanged", "42", None, True)
    assert moves(shop) == 0


def test_a_rehearsal_says_since_when_all_data_of_the_service_is_in_a_verified_backup(shop: SmallService) -> None:
    deploy(shop, ("41", "200"), ("42", "500"))
    given = params(shop, "prepared")
    given["services"][0]["data"] = [{"kind": "files", "path": "/a"}, {"kind": "sqlite", "path": "/b"}]
    folder = Path(given["state_dir"]) / "backups"
    folder.mkdir(parents=True)
    written = (
        ("shop-two", "files", "/a", [("0", True)]),  # another service's
        ("shop", "files", "/no/more", [("0", True)]),  # what the catalogue named once
        ("shop", "files", "/a", [("1", True), ("3", True)]),
        ("shop", "sqlite", "/b", [("2", True), ("4", False)]),
    )
    for service, kind, path, backups in written:
        assert act(given)[1]["backed_up_at"] is None
        entries = [{"name": at, "at": at, "verified": well} for at, well in backups]
        _durable.write(_backup_list.of(given["state_dir"], service, kind, path), {"format": 1, "backups": entries})
    assert act(given)[1]["backed_up_at"] == "2"
