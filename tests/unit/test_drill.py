"""A drill: how it is described, that it stays within its hosts, what it leaves out, and how it is scored."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.incidentctl.response.plugins.module_utils import _drill_script

from incidentctl import drill, drill_range, drill_score, drills, report, trackers
from incidentctl.drills import Drill
from incidentctl.errors import ConfigurationError, NotRecovered, Partial, RefusedError, UsageError
from incidentctl.incident import Event, Incident, fold
from incidentctl.plan import Inventory
from incidentctl.settings import Drills, Settings

AT = "2026-01-01T12:00:00.000+00:00"


def declared(**data: Any) -> list[Event]:
    return [Event("INC-1", 1, AT, "ada", "declared", {"title": "t", "severity": "high", **data}, "", "")]


def test_an_incident_is_a_drill_where_its_first_event_says_so() -> None:
    assert fold(declared()).drill is None
    drill = fold(declared(drill="bad_release", drill_told=True))
    assert (drill.drill, drill.drill_told) == ("bad_release", True)
    assert fold(declared(drill="bad_release")).drill_told is False


def test_a_drill_has_no_ticket() -> None:
    assert len(trackers.due(declared(), Settings())) == 1
    assert trackers.due(declared(drill="bad_release"), Settings()) == []


def test_a_drill_is_in_no_memory_bank_and_owes_nothing(tmp_path: Path) -> None:
    incident: Incident = fold(declared(drill="bad_release"))
    report.remember(incident, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert report.usual_follow_ups(incident) == []
    report.remember(replace(incident, drill=None), tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


HOSTS = {"web1": frozenset({"all", "staging"}), "db1": frozenset({"all", "production"})}
LAB = "web1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two drills, and what they have in common."""
    for name in ("disk_full", "bad_release"):
        (tmp_path / name).mkdir()
        for script in ("inject.sh", "lift.sh"):
            (tmp_path / name / script).write_text("true\n")
        write(tmp_path / name)
    (tmp_path / "served.sh").write_text("true\n")
    (tmp_path / drills.DEFAULTS).write_text("recovered: [{hosts: web1, script: served.sh}]\nseverity: critical\n")
    return tmp_path


def write(folder: Path, **changed: Any) -> None:
    whole = {
        "title": "Orders fail",
        "cause": "the disk is full",
        "inject": [{"hosts": LAB, "script": "inject.sh"}],
        "lift": [{"hosts": [LAB], "script": "lift.sh"}],
        "right": [{"kinds": ["disk"], "hosts": ["web1"], "says": ["/srv", "full"]}],
        **changed,
    }
    kept = {key: value for key, value in whole.items() if value is not None}
    (folder / drills.FILE).write_text(yaml.safe_dump(kept, sort_keys=False))


def test_a_drill_is_read_with_what_all_have_in_common(folder: Path) -> None:
    assert drills.known(folder) == ["bad_release", "disk_full"]
    write(folder / "disk_full", severity="low", recovered={"hosts": "db1", "script": "lift.sh"})
    found = drills.read(folder, drills.known(folder))
    common, own = found["bad_release"], found["disk_full"]
    assert (common.severity, own.severity) == ("critical", "low")
    assert [script.script for script in common.recovered] == [folder / "served.sh"], "from the folder of all drills"
    assert [(script.hosts, script.script) for script in own.recovered] == [(("db1",), folder / "disk_full" / "lift.sh")]
    assert {host for script in own.scripts() for host in script.hosts} == {"web1", "db1"}


def test_all_that_is_wrong_in_any_drill_is_told_at_once(folder: Path) -> None:
    write(
        folder / "disk_full",
        inject=[{"hosts": LAB, "script": "away.sh"}],
        titel="x",
        right=[{"kinds": ["disk"], "says": ["("]}],
    )
    write(folder / "bad_release", cause=None, quiet="long")
    with pytest.raises(ConfigurationError) as error:
        drills.read(folder, drills.known(folder))
    told = str(error.value)
    for part in (
        "2 drills cannot be used",
        "inject.0.script: there is no such file",
        "titel: unknown key",
        "did you mean title?",
        "right.0.says.0: is no regular expression",
        "cause: is missing",
        "quiet: is not a duration",
    ):
        assert part in told, part


def test_a_script_in_a_folder_that_ansible_would_take_for_a_template_is_refused(folder: Path) -> None:
    (folder / "{{ x }}").mkdir()
    (folder / "{{ x }}" / "inject.sh").write_text("true\n")
    write(folder / "disk_full", inject=[{"hosts": LAB, "script": "../{{ x }}/inject.sh"}])
    with pytest.raises(ConfigurationError, match="template to Ansible"):
        drills.read(folder, ["disk_full"])


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (b"true\r\nfalse\r\n", "line ends of Windows"),
        (b"x" * (_drill_script.LONGEST + 1), "longer than 100000 bytes"),
        (b"echo \xff\n", "is not UTF-8 text"),
        (b"echo \0\n", "NUL character"),
    ],
)
def test_a_script_that_no_host_can_run_is_told_with_its_line_before_anything_is_broken(
    folder: Path, script: bytes, told: str
) -> None:
    """A lift that turned out to be one when it was needed would leave the fault there."""
    (folder / "disk_full" / "lift.sh").write_bytes(script)
    with pytest.raises(ConfigurationError) as error:
        drills.read(folder, ["disk_full"])
    line = (folder / "disk_full" / drills.FILE).read_text().splitlines().index("  script: lift.sh")
    assert f"{drills.FILE}:{line + 1}: lift.0.script: " in error.value.why
    assert told in error.value.why


def test_a_kind_that_no_cause_is_of_is_told_with_the_nearest(folder: Path) -> None:
    write(folder / "disk_full", right=[{"kinds": ["disk", "inode"]}])
    with pytest.raises(
        ConfigurationError, match=r"right.0.kinds.1: there is no kind of cause inode \(did you mean inodes"
    ):
        drills.read(folder, ["disk_full"])


def test_an_unknown_drill_is_told_with_the_nearest(folder: Path) -> None:
    with pytest.raises(UsageError, match="did you mean disk_full"):
        drills.read(folder, ["disc_full"])


@pytest.mark.parametrize("given", [{"folder": "drills"}, {"hosts": "staging"}, {"folder": "drills", "hosts": " "}])
def test_settings_never_have_drills_without_hosts(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="folder and hosts belong together"):
        Drills.model_validate(given)


@pytest.mark.parametrize("key", ["prepare", "inject", "lift", "symptom", "recovered"])
def test_a_drill_that_would_touch_any_other_host_is_refused(folder: Path, key: str) -> None:
    site = drill_range.range_of(_session(folder), unseen)
    drill_range.unless_elsewhere(site, drills.read(folder, ["disk_full"]))
    script = {"hosts": "production", "script": "inject.sh"}
    write(folder / "disk_full", **{key: script if key == "symptom" else [script]})
    with pytest.raises(RefusedError, match="disk_full: db1 is none of them"):
        drill_range.unless_elsewhere(site, drills.read(folder, ["disk_full"]))


def test_hosts_that_there_are_not_are_told_at_once_of_all_drills(folder: Path) -> None:
    write(
        folder / "disk_full",
        inject=[{"hosts": "web2", "script": "inject.sh"}],
        right=[{"kinds": ["disk"], "hosts": ["wbe1"]}],
    )
    write(folder / "bad_release", symptom={"hosts": "stagging", "script": "lift.sh"})
    with pytest.raises(ConfigurationError) as error:
        drill_range.unless_elsewhere(
            drill_range.range_of(_session(folder), unseen), drills.read(folder, drills.known(folder))
        )
    for part in (
        "disk_full: inject.sh: 'web2': no host matches 'web2'",
        "disk_full: right: there is no host 'wbe1' (did you mean web1?)",
        "bad_release: lift.sh: 'stagging': no host matches 'stagging', and no group that has hosts (did you mean staging?)",
    ):
        assert part in error.value.why, part


def test_a_machine_that_is_also_a_host_that_may_not_be_broken_is_broken_under_neither_name(folder: Path) -> None:
    """An address that was copied: the drill would be done to the database of production."""
    with pytest.raises(RefusedError, match=r"web1 and db1 are both 10\.0\.0\.1"):
        drill_range.range_of(_session(folder, web1="10.0.0.1", db1="10.0.0.1"), unseen)


def test_a_pattern_that_means_no_host_is_told_as_that_of_the_settings(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"`drills\.hosts` of incidentctl\.yml"):
        drill_range.range_of(_session(folder, "stagin"), unseen)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '"disk_full"', "\udcff"])
def test_a_note_of_what_is_under_way_that_cannot_be_read_says_how_to_go_on(folder: Path, text: str) -> None:
    session = _session(folder)
    assert drill.left_behind(session) is None
    file = session.settings.state_dir / "drills" / "under_way.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigurationError, match=r"under_way\.json cannot be read") as error:
        drill.left_behind(session)
    assert "--clean NAME" in error.value.fix
    file.write_text('{"drill": "disk_full", "at": "now"}')
    assert drill.left_behind(session) == "disk_full"


def unseen(*_words: Any, **_facts: Any) -> None:
    """Show nothing."""


def _session(folder: Path, pattern: str = "staging", **machines: str) -> Any:
    class Session:
        settings = Settings(drills=Drills(folder=folder, hosts=pattern), state_dir=folder / "state")

        @staticmethod
        def hosts() -> Inventory:
            return Inventory(HOSTS, (), machines=machines)

    return Session()


# --- the score -----------------------------------------------------------------------------------

RIGHT = {"title": "/srv is full", "kind": "disk", "hosts": ["web1", "db1"], "about": {}}
WRONG = {"title": "a package changed", "kind": "package", "hosts": ["web1"], "about": {}}


def answered(
    *causes: dict[str, Any], recover: str = "done", recovered: bool = True, option: str = "custom"
) -> list[Event]:
    """An incident of a drill: diagnosed after 10 s, asked after 20, verified after 40."""
    number = count(1)
    rows: list[tuple[int, str, dict[str, Any]]] = [
        (0, "declared", {"title": "t", "severity": "high", "drill": "disk_full"}),
        (5, "step_started", {"phase": "diagnose"}),
        (10, "step_finished", {"phase": "diagnose", "judged": {"causes": list(causes)}}),
        (15, "options_assessed", {"options": [{"key": option, "recommended": True, "playbook": "free_space"}]}),
        (20, "question_asked", {}),
        (21, "decided", {"option": option, "playbook": "free_space"}),
        (22, "step_started", {"phase": "recover"}),
        (30, "step_finished", {"phase": "recover", "outcome": recover}),
        (40, "verified", {"recovered": recovered}),
        (50, "closed", {}),
    ]
    return [
        Event("INC-1", next(number), f"2026-01-01T12:00:{second:02}.000+00:00", "ada", kind, data, "", "")
        for second, kind, data in rows
    ]


@pytest.fixture
def described(folder: Path) -> Drill:
    return drills.read(folder, ["disk_full"])["disk_full"]


def test_it_is_recovered_where_all_was_well_and_the_cause_among_the_first_three(described: Drill) -> None:
    found = drill_score.score("disk_full", described, answered(WRONG, WRONG, RIGHT), True, "")
    assert (found.result, found.rank, found.option) == ("recovered", 3, "custom (free_space)")
    assert (found.diagnosed_s, found.asked_s, found.recovered_s) == (10, 20, 40)
    partly = drill_score.score("disk_full", described, answered(WRONG, WRONG, WRONG, RIGHT), True, "")
    assert (partly.result, partly.rank) == ("partly", 4)
    assert drill_score.score("disk_full", described, answered(WRONG), True, "").rank is None


def test_it_is_not_where_customers_are_not_served_whatever_the_verification_said(described: Drill) -> None:
    found = drill_score.score("disk_full", described, answered(RIGHT), False, "")
    assert (found.result, found.verdict, found.recovered_s) == ("not", "recovered", None)
    assert found.problem == "it was not well after the option"


def test_it_says_what_was_decided_though_it_failed_and_something_else_is_recommended_since(described: Drill) -> None:
    events = answered(RIGHT, recover="failed")
    more = {"options": [{"key": "mitigate", "recommended": True}]}
    again = [
        Event("INC-1", 20, events[-1].at, "ada", kind, data, "", "")
        for kind, data in (("options_assessed", more), ("question_asked", {}))
    ]
    found = drill_score.score("disk_full", described, [*events, *again], False, "custom failed")
    assert (found.option, found.problem) == ("custom (free_space)", "custom failed")


def test_what_got_well_by_itself_is_not_recovered(described: Drill) -> None:
    found = drill_score.score("disk_full", described, answered(RIGHT, recover="failed"), True, "")
    assert (found.result, found.problem) == ("not", "it was healthy again without the option")


@pytest.mark.parametrize(
    "changed", [{"kind": "inodes"}, {"hosts": ["db1"]}, {"title": "/srv has 100 files"}, {"title": "/var is full"}]
)
def test_a_cause_is_right_by_kind_hosts_and_words(described: Drill, changed: dict[str, Any]) -> None:
    assert drill_score.is_right(RIGHT, described.right)
    assert not drill_score.is_right({**RIGHT, **changed}, described.right)


def test_the_exit_code_tells_the_worst(described: Drill) -> None:
    well = drill_score.score("disk_full", described, answered(RIGHT), True, "")
    partly = drill_score.score("disk_full", described, answered(WRONG), True, "")
    drill.judge([well])
    with pytest.raises(Partial):
        drill.judge([well, partly])
    with pytest.raises(NotRecovered, match="cut"):
        drill.judge([partly, drill_score.unmeasured("cut", "no symptom")])


def test_the_table_has_a_row_for_each_and_says_why_not(described: Drill) -> None:
    scores = [
        drill_score.score("disk_full", described, answered(RIGHT), True, ""),
        drill_score.unmeasured("bad_release", "it has | no effect"),
    ]
    told = drill_score.table(scores)
    assert "| disk_full | recovered | place 1 | custom (free_space) | 10 s | 20 s | 40 s |  |" in told
    assert "| bad_release | not | not named | none | – | – | – | not measured: it has / no effect |" in told
    assert "Cause among the first 3: 1 of 2. Recovered by the recommended option: 1." in told


def test_what_a_host_says_clears_no_screen_and_breaks_no_row() -> None:
    told = drill_score.table([drill_score.unmeasured("disk_full", "web1: \x1b[2J\nall is well |")])
    assert [line for line in told.splitlines() if "\x1b" in line] == []
    assert r"web1: \x1b[2J\nall is well / |" in told
