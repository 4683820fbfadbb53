"""A hotfix is built from what lies there, once, and what did not help is kept and known to be bad."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _build_context,
    _containerfile,
    _ignore_file,
    _ledger,
    _release,
    _release_build,
    _release_health,
    _release_history,
    _release_image,
)
from tests.unit.modules.compose_host import Machine, act, at, params, shop_host, states

TAG = "hotfix-inc-1-1"
PODMAN, DOCKER = ("podman", "podman-compose"), ("docker",)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    with shop_host(tmp_path, monkeypatch) as made:
        made.has(*PODMAN)
        made.runs("42", "41", "40")
        made.health["42"] = 500
        source = tmp_path / "src"
        source.mkdir()
        (source / "Containerfile").write_text("FROM localhost/cache:7\nCOPY . /srv\n")
        (source / "app.py").write_text("print('mended')\n")
        yield made


def hotfix(machine: Machine, build: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    given = {"context": str(machine.home / "src"), **(build or {})}
    return params(machine, "hotfixed", service={"releases": {"build": given}}, **more)


def digest(given: dict[str, Any]) -> str:
    return str(act(given, check_mode=True)[1]["build"]["digest"])


def files(machine: Machine) -> dict[Path, bytes]:
    kept = [path for path in machine.home.rglob("*") if path.is_file() and path.name != "calls"]
    return {path: path.read_bytes() for path in kept}


def test_it_is_built_without_cache_or_registry_deployed_and_found_by_a_second_run(machine: Machine) -> None:
    given = hotfix(machine)
    before = files(machine)
    answer = _release.run(given, True)
    (row,) = answer["incident"]["actions"]
    assert (
        row["summary"] == f"shop: {TAG} would be built from 2 file(s) in {machine.home}/src, and take the place of 42"
    )
    assert answer["diff"][0]["after"] == f"current -> {TAG}\n"
    assert files(machine) == before
    row, facts = act(given)
    assert (row["outcome"], row["verified"], facts["from"], facts["to"]) == ("done", True, "42", TAG), row
    assert machine.tags() == {"shop": TAG, "worker": TAG, "cache": "7"}
    (call,) = machine.calls("build")
    assert "podman build --no-cache --pull=never" in call
    assert call.endswith("--tag localhost/shop:hotfix-inc-1-1 --file /src/Containerfile /src")
    assert (states(given), _release_history.known_bad(given, "shop")) == (["applied"], {"42"})
    assert act(given)[0]["outcome"] == "unchanged"
    assert len(machine.calls("build")) == 1


def test_what_was_built_stands_in_the_order_of_releases_behind_what_it_came_after(machine: Machine) -> None:
    given = hotfix(machine)
    act(given)
    back = act({**given, "state": "prepared", "incident_id": "INC-2"})[1]
    assert (back["from"], back["to"]) == (TAG, "41"), "42 is what the hotfix was for"
    machine.write(images=[*machine.read("images"), "localhost/shop:43"])
    machine.runs_on("43")
    assert act({**given, "state": "prepared", "incident_id": "INC-2"})[1]["to"] == TAG
    assert _release_image.look(machine.service(), given)[1] == ["40", "41", "42", TAG, "43"]


def test_one_that_was_rolled_back_from_is_not_taken_for_deployed(machine: Machine) -> None:
    given = hotfix(machine)
    act(given)
    act({**given, "state": "rolled_back"})
    assert at(machine) == "41"
    row, facts = act(given)
    assert (row["outcome"], facts["from"], facts["to"]) == ("done", "41", "hotfix-inc-1-2"), row
    assert at(machine) == "hotfix-inc-1-2"


def test_one_that_is_no_better_is_switched_back_kept_and_known_to_be_bad(machine: Machine) -> None:
    machine.health[TAG] = 503
    given = hotfix(machine)
    row, facts = act(given)
    assert (row["outcome"], facts["switched_back"], at(machine)) == ("failed", True, "42")
    assert row["summary"] == (
        f"shop: the hotfix is no better (503): back to 42, as before (500); the image {TAG} is kept, and known to be bad"
    )
    assert machine.tags() == {"shop": "42", "worker": "42", "cache": "7"}
    assert f"localhost/shop:{TAG}" in machine.read("images")
    assert (states(given), _release_history.known_bad(given, "shop")) == (["lifted"], {TAG})
    (machine.home / "src" / "app.py").write_text("print('really mended')\n")
    seen = act(given, check_mode=True)[1]["build"]
    assert (seen["tag"], seen["changed"]) == (
        "hotfix-inc-1-2",
        {"count": 1, "names": ["app.py"], "since": f"{TAG} was built"},
    )
    assert act(given)[1]["to"] == "hotfix-inc-1-2"


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("fails", "podman build exited 1: STEP 3/4: RUN make / no such thing today"),
        ("changes meanwhile", "the context changed while it was built"),
        ("slow", "did not end in 1 s and was ended"),
        ("says so only", "it is not here"),
    ],
)
def test_what_is_not_built_is_not_deployed(machine: Machine, case: str, words: str) -> None:
    steps = {
        "changes meanwhile": ["(home / 'src' / 'app.py').write_text('other')"],
        "slow": ["import time; time.sleep(60)"],
        "says so only": ["import sys; sys.exit(0)"],
    }
    machine.write(breaks="build" if case == "fails" else "", steps=steps.get(case, []))
    given = hotfix(machine, build_within_s=1.0 if case == "slow" else 60.0)
    row, facts = act(given)
    assert (row["outcome"], facts["switched_back"], at(machine)) == ("failed", False, "42")
    assert words in row["summary"]
    assert ": still at 42" in row["summary"]
    assert (machine.calls("up"), states(given)) == ([], ["lifted"])


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (
            "no base",
            "it builds on localhost/base:1, not on this host, and nothing is pulled in an incident. Fix: podman pull",
        ),
        ("no room", "MB would have to be free where images are kept"),
        ("no context", "is no folder on this host"),
        ("no file", "has no Containerfile and no Dockerfile"),
        ("another runs", "bring them together first"),
        ("not what was reviewed", "is not what was reviewed: it changed since. Nothing was built"),
        ("too many files", "has more than 1 files"),
    ],
)
def test_what_stands_in_the_way_is_said_before_anything_is_written_or_built(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, case: str, words: str
) -> None:
    given, source = hotfix(machine), machine.home / "src"
    if case == "no base":
        (source / "Containerfile").write_text("ARG V=1\nFROM --platform=amd64 localhost/base:${V} AS made\nFROM made\n")
    if case == "no file":
        (source / "Containerfile").unlink()
    if case == "no context":
        given = hotfix(machine, {"context": "/no/such/folder"})
    if case == "no room":
        machine.write(size=1 << 60)
    if case == "another runs":
        containers = machine.read("containers")
        containers["shop"]["image"] = "localhost/shop:41"
        machine.write(containers=containers)
    if case == "not what was reviewed":
        given["reviewed"] = {"shop": "0" * 64}
    if case == "too many files":
        monkeypatch.setattr(_build_context, "FILES", 1)
    row, _facts = act(given, check_mode=case == "no base")
    assert row["outcome"] in ("refused", "failed")
    assert words in row["summary"]
    assert (machine.calls("build"), machine.calls("up"), states(given)) == ([], [], [])


class Killed(BaseException):
    """The module was killed here."""


@pytest.mark.parametrize(
    ("point", "helps"),
    [
        ("while it builds", True),
        ("before the switch", True),
        ("after the switch", True),
        ("after the switch", False),
        ("before the health", False),
    ],
)
def test_one_that_was_cut_off_is_gone_on_with_and_built_once(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, point: str, helps: bool
) -> None:
    machine.health[TAG] = 200 if helps else 500
    given = hotfix(machine, reviewed={"shop": digest(hotfix(machine))})

    def die(*_words: Any, **_more: Any) -> Any:
        raise Killed

    where = {
        "while it builds": (_release_build, "_build"),
        "before the switch": (_release_image, "go"),
        "after the switch": (_release_image._compose_images, "renew"),
        "before the health": (_release_health, "verify"),
    }[point]
    with monkeypatch.context() as patch:
        patch.setattr(*where, die)
        with pytest.raises(Killed):
            act(given)
    assert states(given) == ["intended"]
    if point != "while it builds":  # what was reviewed is in the image: the context does not matter any more
        (machine.home / "src" / "app.py").write_text("somebody is at work here\n")
    row, facts = act(given)
    assert (row["outcome"], facts["from"], facts["switched_back"]) == (
        "done" if helps else "failed",
        "42",
        not helps,
    ), row
    tag = TAG if helps else "42"
    assert (at(machine), machine.tags()) == (tag, {"shop": tag, "worker": tag, "cache": "7"})
    assert (len(machine.calls("build")), states(given)) == (1, ["applied" if helps else "lifted"])


def test_with_docker_it_is_built_too(machine: Machine) -> None:
    for tool in PODMAN:
        (machine.home / "bin" / tool).unlink()
    machine.has(*DOCKER)
    row, _facts = act(hotfix(machine, {"args": {"V": 2}, "target": "slim"}))
    assert row["outcome"] == "done"
    (call,) = machine.calls("build")
    assert "docker build --no-cache --label" in call
    assert call.endswith("--target slim --build-arg V=2 /src")


def test_what_was_built_is_told_apart_by_content_not_by_time(machine: Machine) -> None:
    given, source = hotfix(machine), machine.home / "src"
    first = digest(given)
    (source / "app.py").touch()
    (source / ".git").mkdir()
    (source / ".git" / "index").write_text("x")
    (source / "notes.md").write_text("x")
    (source / ".containerignore").write_text("# ours\n*.md\n.containerignore\n")
    assert digest(given) == first
    (source / "app.py").chmod(0o755)
    assert digest(given) != first


@pytest.mark.parametrize(
    ("lines", "left_out", "kept"),
    [
        ("*.log", ["a.log"], ["a/b.log", "a.logs"]),
        ("**/*.log", ["a.log", "a/b/c.log"], ["a.txt"]),
        ("/node_modules/", ["node_modules", "node_modules/x/y.js"], ["a/node_modules"]),
        ("docs\n!docs/keep.md", ["docs/a.md"], ["docs", "docs/keep.md"]),
        ("[ab]?.py", ["ax.py"], ["cx.py", "a.py"]),
        ("# a\n\n", [], ["# a", "a"]),
    ],
)
def test_the_ignore_file_says_what_a_build_does_not_see(
    tmp_path: Path, lines: str, left_out: list[str], kept: list[str]
) -> None:
    (tmp_path / ".dockerignore").write_text(lines)
    ignored = _ignore_file.of(tmp_path, tmp_path / "Containerfile", "podman")
    folders = ("docs", "node_modules", "a/node_modules")
    assert [name for name in left_out + kept if ignored(name, name in folders)] == left_out


@pytest.mark.parametrize(
    ("engine", "there", "left_out"),
    [
        ("podman", "here.dockerignore here.containerignore .containerignore .dockerignore", "here.dockerignore"),
        ("podman", "here.containerignore .containerignore .dockerignore", "here.containerignore"),
        ("podman", ".containerignore .dockerignore", ".containerignore"),
        ("docker", "here.containerignore .containerignore .dockerignore", ".dockerignore"),
        ("docker", "here.dockerignore .dockerignore", "here.dockerignore"),
        ("docker", "here.containerignore .containerignore", ""),
    ],
)
def test_of_several_ignore_files_the_one_counts_that_the_engine_takes(
    tmp_path: Path, engine: str, there: str, left_out: str
) -> None:
    for name in there.split():
        (tmp_path / name).write_text(f"only {name}\n")
    ignored = _ignore_file.of(tmp_path, tmp_path / "here", engine)
    assert [name for name in there.split() if ignored(f"only {name}", False)] == left_out.split()


def test_a_text_within_a_containerfile_names_nothing_that_it_builds_on() -> None:
    text = (
        "FROM base\nRUN cat >/q.sql <<-'EOF' && cat <<END >/r\nSELECT 1\nFROM orders\n\tEOF\nFROM more\nEND\n"
        "RUN echo '<<NEVER'\nCOPY --from=tools /x /x\n"
    )
    assert _containerfile.bases(text, {}) == ["base", "tools"]


def test_what_comes_after_the_stage_that_is_built_need_not_be_here() -> None:
    text = "FROM base AS made\nFROM slim AS Ours\nCOPY --from=made /x /x\nFROM tools AS tests\n"
    assert _containerfile.bases(text, {}, "ours") == ["base", "slim"]
    assert _containerfile.bases(text, {}) == ["base", "slim", "tools"]


def test_a_containerfile_names_what_it_builds_on() -> None:
    text = (
        "# syntax=x\nARG BASE=python\nARG TAG='3'\nFROM $BASE:${TAG} AS a\nRUN x \\\n  FROM y\nFROM scratch\n"
        "COPY --from=a /x /x\nCOPY --from=busybox /y /y\nCOPY --from=0 /z /z\nFROM ${WHO}\n"
    )
    assert _containerfile.bases(text, {"TAG": "4"}) == ["python:4", "busybox"]


def test_the_ledger_tells_from_which_files_it_was_built(machine: Machine) -> None:
    given = hotfix(machine)
    act(given)
    (entry,) = _ledger.entries(given)[0]
    assert entry["prior"]["digest"] == digest(given)
    assert (entry["undo"]["keep"], entry["undo"]["from"], entry["undo"]["to"]) == (True, TAG, "42")
    kept = json.loads((machine.home / "incidents" / "releases" / "shop.builds.json").read_text())
    assert (kept["builds"][0]["release"], sorted(kept["last"]["files"])) == (TAG, ["Containerfile", "app.py"])
