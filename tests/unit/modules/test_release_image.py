"""A compose file's service is moved between the tags of its image, alone, and all or nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _compose_images,
    _control,
    _env_file,
    _release,
    _release_history,
    _release_image,
    _releases_info,
)
from tests.small_service import as_nobody, open_folder
from tests.unit.modules.compose_host import FILE, OTHERS, Machine, act, at, params, shop_host, states


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    with shop_host(tmp_path, monkeypatch) as made:
        yield made


PODMAN, DOCKER = ("podman", "podman-compose"), ("docker",)


@pytest.mark.parametrize("tools", [PODMAN, DOCKER])
def test_what_runs_of_the_image_goes_back_and_nothing_else_is_touched(machine: Machine, tools: tuple[str, ...]) -> None:
    machine.has(*tools)
    machine.runs("42", "41", "40")
    machine.health["42"] = 500
    owner = machine.env.stat()
    given = params(machine)
    answer = _release.run(given, False)
    row, facts = answer["incident"]["actions"][0], answer["incident"]["facts"]["services"]["shop"]
    assert (row["outcome"], row["verified"], answer["changed"]) == ("done", True, True), row
    assert machine.tags() == {"shop": "41", "worker": "41", "cache": "7"}, "the migration is not run again"
    assert machine.read("containers")["cache"]["created"] == "2026-01-01T00:00:00Z"
    assert machine.env.read_text() == f'{OTHERS}SHOP_TAG="41" # by the pipeline\nLAST=1'
    after = machine.env.stat()
    assert (stat.S_IMODE(after.st_mode), after.st_uid, after.st_gid) == (0o640, owner.st_uid, owner.st_gid)
    assert (facts["health_before"]["status"], facts["health_after"]["status"]) == (500, 200)
    assert (states(given), _release_history.known_bad(given, "shop")) == (["applied"], {"42"})
    assert all("--no-deps --no-build" in call and "-p site" in call for call in machine.calls("up"))
    assert "localhost/shop:42" in machine.read("images"), "the bad release is kept"
    assert act(given)[0]["outcome"] == "unchanged"
    assert sorted(p.name for p in machine.home.glob(".env*")) == [".env"]


def test_docker_is_told_to_pull_nothing(machine: Machine) -> None:
    machine.has(*DOCKER)
    machine.runs("42", "41")
    act(params(machine))
    (call,) = machine.calls("up")
    assert call == "docker compose -f /compose.yml -p site up -d --no-deps --no-build --pull never shop worker"


def test_a_named_service_of_the_file_goes_back_alone(machine: Machine) -> None:
    machine.has(*PODMAN)
    machine.runs("42", "41")
    assert act(params(machine, service={"compose_service": "shop"}))[0]["outcome"] == "done"
    assert machine.tags() == {"shop": "41", "worker": "42", "cache": "7"}


def test_a_rehearsal_says_all_and_changes_nothing(machine: Machine) -> None:
    machine.has(*PODMAN)
    machine.runs("42", "41", "9", "latest", "41-debug")
    before = {path: path.read_bytes() for path in machine.home.rglob("*") if path.is_file()}
    given = params(machine, "prepared")
    row, facts = act(given)
    assert row["outcome"] == "unchanged"
    assert facts == {
        "kind": "compose_image",
        "from": "42",
        "to": "41",
        "why": "the release before 42; nothing is known of its health here",
        "feasible": True,
        "reason": None,
        "migrations": None,
        "migrations_reason": "unknown: what images hold is not looked into",
        "schema": {
            "state": "unknown",
            "reversible": None,
            "reason": "what images hold is not looked into",
            "operations": [],
        },
        "image": "sha256:localhost/shop:41",
        "backed_up_at": None,
        "deployed_at": "2026-01-01T00:00:00.000+00:00",
        "rehearsed": True,
    }
    (call,) = machine.home.joinpath("calls").read_text().splitlines()
    assert call == "podman-compose --dry-run -f /compose.yml -p site stop"
    machine.home.joinpath("calls").unlink()
    assert {path: path.read_bytes() for path in machine.home.rglob("*") if path.is_file()} == before
    row, _facts = act({**given, "state": "rolled_back"}, check_mode=True)
    assert row["summary"] == "shop would go back from 42 to 41"
    assert at(machine) == "42"


@pytest.mark.parametrize(
    ("now", "others", "log", "before"),
    [
        ("v1.10", ("v1.9.2", "v1.11", "v1.9.2-debug", "latest"), None, "v1.9.2"),
        ("2026-01-02", ("2025-12-31", "2026-01-03"), None, "2025-12-31"),
        ("c0ffee", ("deadbee", "abad1de"), "# ours\n2026-01-01 abad1de\n2026-01-02 deadbee\n2026-01-03 c0ffee\n", "deadbee"),
        ("c0ffee", ("abad1de",), "abad1de\ndeadbee\nc0ffee\n", "abad1de"),
        ("abad1de", ("c0ffee",), "abad1de\nc0ffee\n\nabad1de\n", "c0ffee"),
    ],
)  # fmt: skip
def test_the_candidate_is_the_tag_before_by_the_deployment_log_or_in_natural_order(
    machine: Machine, now: str, others: tuple[str, ...], log: str | None, before: str
) -> None:
    machine.has(*PODMAN)
    machine.runs(now, *others)
    more = {}
    if log is not None:
        (machine.home / "log").write_text(log)
        more = {"releases": {"history": str(machine.home / "log")}}
    facts = act(params(machine, "prepared", service=more))[1]
    assert facts["to"] == before, facts
    seen, note = _releases_info.look(machine.service(**more))
    assert note is None
    assert seen is not None
    assert (seen["current"], seen["previous"], seen["deployed_at"]) == (now, before, "2026-01-01T00:00:00.000+00:00")


def test_health_that_is_remembered_counts_for_tags_too(machine: Machine) -> None:
    machine.has(*PODMAN)
    machine.runs("42", "41", "40")
    given = params(machine, "prepared")
    _release_history.note(given, "shop", "40", True)
    _release_history.note(given, "shop", "41", False)
    assert act(given)[1]["to"] == "40"


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("only one", "no release before 42 in localhost/shop on this host"),
        ("hashes", "no release before c0ffee in localhost/shop"),
        ("named, not here", "the image localhost/shop:7 is not on this host, and none is pulled in an incident"),
        ("named, no tag", "is not on this host"),
        ("itself", "42 is the current release"),
        ("not in the log", "does not name 42"),
        ("no log", "No such file or directory"),
        ("no variable", "sets SHOP_TAG 0 times, and must once"),
        ("twice", "sets SHOP_TAG 2 times, and must once"),
        ("no tag", "is no tag of an image"),
        ("no .env", "No such file or directory"),
        (".env is a folder", "it is a folder"),
        ("unused", "does not use ${SHOP_TAG}"),
        ("another runs", "41 of localhost/shop runs, but SHOP_TAG says 42: bring them together first"),
        ("broken file", "the compose file cannot be used: "),
        ("no room", "MiB are free where containers are kept"),
        ("no engine", "neither podman nor docker"),
        ("nothing runs", "no container of localhost/shop runs from "),
    ],
)
def test_what_cannot_be_rolled_back_is_skipped_with_the_reason_and_a_rollback_refused(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, case: str, words: str
) -> None:
    if case != "no engine":
        machine.has(*PODMAN)
    machine.runs("c0ffee" if case == "hashes" else "42", *(() if case == "only one" else ("41",)))
    releases: dict[str, Any] = {}
    text = machine.env.read_text()
    changed = {
        "no variable": OTHERS, "twice": f"{text}\nSHOP_TAG=41\n", "no tag": "SHOP_TAG=${OTHER}\n",
    }.get(case, text)  # fmt: skip
    machine.env.write_text(changed)
    if case in ("no .env", ".env is a folder"):
        machine.env.unlink()
    if case == ".env is a folder":
        machine.env.mkdir()
    if case == "unused":
        (machine.home / "compose.yml").write_text(FILE.replace("${SHOP_TAG}", "${SHOP_TAGS}"))
    if case in ("not in the log", "no log"):
        releases["history"] = str(machine.home / "log")
    if case == "not in the log":
        (machine.home / "log").write_text("40\n41\n")
    if case == "another runs":
        containers = machine.read("containers")
        containers["shop"]["image"] = "localhost/shop:41"
        machine.write(containers=containers)
    if case == "nothing runs":
        stopped = {name: {**it, "status": "exited"} for name, it in machine.read("containers").items()}
        machine.write(containers=stopped)
    if case == "broken file":
        machine.write(breaks="--dry-run")
    if case == "no room":
        monkeypatch.setattr(_release_image, "ROOM", 1 << 60)
    to = {"named, not here": "7", "named, no tag": "../7", "itself": "42"}.get(case)
    given = params(machine, "prepared", to=to, service={"releases": releases})
    row, facts = act(given)
    assert row["outcome"] == "skipped"
    assert words in facts["reason"]
    assert "s3cret" not in str(row)
    row, _facts = act({**given, "state": "rolled_back"})
    assert row["outcome"] == ("unchanged" if case == "itself" else "refused")
    assert case == "itself" or words in row["summary"]
    assert (states(given), machine.calls("up")) == ([], [])


@pytest.mark.parametrize("tools", [PODMAN, DOCKER])
@pytest.mark.parametrize(
    ("health", "crash", "words"),
    [({"41": 503, "42": 500}, (), "(503) than 42 (500)"), ({"42": 500}, ("41",), "(shop: ")],
)
def test_a_tag_that_is_no_better_goes_forward_again(
    machine: Machine, tools: tuple[str, ...], health: dict[str, int], crash: tuple[str, ...], words: str
) -> None:
    machine.has(*tools)
    machine.runs("42", "41", crash=crash)
    machine.health.update(health)
    before = machine.env.read_bytes()
    given = params(machine)
    row, facts = act(given)
    assert (row["outcome"], facts["forward_again"]) == ("failed", True), row
    assert row["summary"].startswith("shop: release 41 is no better (")
    assert words in row["summary"]
    assert row["summary"].endswith(": forward again to 42")
    assert machine.tags() == {"shop": "42", "worker": "42", "cache": "7"}
    assert (machine.env.read_bytes(), states(given)) == (before, ["lifted"])


def test_a_renewal_that_fails_goes_forward_again(machine: Machine) -> None:
    machine.has(*PODMAN)
    machine.runs("42", "41")
    machine.write(breaks="rm")
    row, facts = act(params(machine))
    assert (row["outcome"], facts["forward_again"], at(machine)) == ("failed", True, "42")
    assert "no such thing today" in row["summary"]
    assert machine.tags() == {"shop": "42", "worker": "42", "cache": "7"}


class Killed(BaseException):
    """The module was killed here."""


@pytest.mark.parametrize("point", ["before the file", "after the file", "while nothing runs", "after the renewal"])
@pytest.mark.parametrize("tools", [PODMAN, DOCKER])
def test_a_rollback_that_was_cut_off_is_gone_on_with(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tools: tuple[str, ...], point: str
) -> None:
    machine.has(*tools)
    machine.runs("42", "41", "40")
    machine.health["42"] = 500
    given = params(machine)
    where, name = {
        "before the file": (_env_file, "change"),
        "after the file": (_compose_images, "renew"),
        "while nothing runs": (_control, "renew"),
        "after the renewal": (_release_image, "_see"),
    }[point]

    def die(*_words: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(where, name, die)
        with pytest.raises(Killed):
            act(given)
    assert at(machine) == ("42" if point == "before the file" else "41")
    assert states(given) == ["intended"]
    if tools == PODMAN and point == "while nothing runs":
        assert machine.tags() == {"cache": "7"}
    row, facts = act(given)
    assert (row["outcome"], facts["from"], facts["to"]) == ("done", "42", "41"), row
    assert machine.tags() == {"shop": "41", "worker": "41", "cache": "7"}
    assert states(given) == ["applied"]


def test_going_forward_that_was_cut_off_can_be_gone_on_with(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.has(*PODMAN)
    machine.runs("42", "41")
    machine.health.update({"41": 500, "42": 500})
    given = params(machine)
    real, calls = _compose_images.renew, []

    def die(*words: Any) -> None:
        calls.append(words)
        if len(calls) == 2:
            raise Killed
        real(*words)

    with monkeypatch.context() as patch:
        patch.setattr(_compose_images, "renew", die)
        with pytest.raises(Killed):
            act(given)
    assert (at(machine), machine.tags()["shop"]) == ("42", "41")
    assert act({**given, "incident_id": "INC-2"})[0]["outcome"] == "refused", "nobody else knows which it is"
    row, facts = act(given)
    assert (row["outcome"], facts["forward_again"]) == ("failed", True)
    assert (at(machine), machine.tags()["shop"]) == ("42", "42")


def test_a_unit_that_wraps_compose_is_restarted_and_seen_to_run_the_tag(machine: Machine) -> None:
    machine.has(*PODMAN)
    machine.runs("42", "41")
    up = ["podman-compose", "-f", str(machine.home / "compose.yml"), "-p", "site", "up", "-d", "shop", "worker"]
    runs = ["/usr/bin/grep", "-q", '"service": "shop"', str(machine.state)]
    control = {"start": up, "stop": ["podman", "rm", "shop", "worker"], "status": runs}
    row, _facts = act(params(machine, service={"manager": "command", "control": control}))
    assert row["outcome"] == "done", row
    assert machine.tags() == {"shop": "41", "worker": "41", "cache": "7"}


def test_a_hotfix_that_is_no_better_is_switched_back(machine: Machine) -> None:
    machine.has(*PODMAN)
    machine.runs("42", "43")
    machine.health.update({"42": 500, "43": 500})
    hotfix = ["/usr/bin/sed", "-i", "s/42/43/", str(machine.env)]
    given = params(machine, "hotfixed", service={"releases": {"hotfix": hotfix}})
    row, facts = act(given)
    assert (row["outcome"], facts["switched_back"], at(machine)) == ("failed", True, "42"), row
    assert machine.tags()["shop"] == "42"


# The file with the variable


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("SHOP_TAG=42", "SHOP_TAG=41"),
        ("SHOP_TAG=42\r\nX=1\r\n", "SHOP_TAG=41\r\nX=1\r\n"),
        ("export SHOP_TAG = '42'  # note 42\n", "export SHOP_TAG = '41'  # note 42\n"),
        ("#SHOP_TAG=1\nSHOP_TAGS=7\nSHOP_TAG=42\n\xff\n", "#SHOP_TAG=1\nSHOP_TAGS=7\nSHOP_TAG=41\n\xff\n"),
    ],
)
def test_the_rest_of_the_file_stays_byte_for_byte(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / ".env"
    path.write_bytes(before.encode("latin-1"))
    assert _env_file.read(path, "SHOP_TAG") == "42"
    _env_file.change(path, "SHOP_TAG", "41")
    assert path.read_bytes() == after.encode("latin-1")
    assert [one.name for one in tmp_path.iterdir()] == [".env"]


def test_a_link_to_a_shared_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / ".env").write_text("SHOP_TAG=42\n")
    (tmp_path / ".env").symlink_to("shared/.env")
    path = _env_file.beside(str(tmp_path / "compose.yml"))
    _env_file.change(path, "SHOP_TAG", "41")
    assert ((tmp_path / ".env").is_symlink(), (tmp_path / ".env").read_text()) == (True, "SHOP_TAG=41\n")


def test_a_full_disk_leaves_the_file_and_nothing_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".env"
    path.write_text("SHOP_TAG=42\n")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for verb in (_env_file.rehearse, _env_file.change):
        with pytest.raises(OSError, match="No space left"):
            verb(path, "SHOP_TAG", "41")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [(".env", "SHOP_TAG=42\n")]


@pytest.mark.parametrize("tag", ["", "4 1", "41\nX=1", "$(id)", "-41", "a" * 129, "41:x", "4/1"])
def test_what_is_no_tag_is_never_written(tmp_path: Path, tag: str) -> None:
    path = tmp_path / ".env"
    path.write_text("SHOP_TAG=42\n")
    with pytest.raises(_env_file.EnvFileError, match="is no tag"):
        _env_file.change(path, "SHOP_TAG", tag)
    assert path.read_text() == "SHOP_TAG=42\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can become somebody who may not")
def test_a_file_whose_owner_cannot_be_kept_is_not_replaced() -> None:
    with open_folder() as folder:
        folder.chmod(0o777)
        path = folder / ".env"
        path.write_text("SHOP_TAG=42\n")

        def change() -> str:
            try:
                _env_file.change(path, "SHOP_TAG", "41")
            except PermissionError as error:
                return str(error)
            return "changed"

        said = as_nobody(change)
        assert "not permitted" in said
        assert sorted(one.name for one in folder.iterdir()) == [".env"]
        assert (path.read_text(), path.stat().st_uid) == ("SHOP_TAG=42\n", 0)
