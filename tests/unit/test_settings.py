"""incidentctl.yml: defaults for all that is not said, and every error at once with its line and its fix."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incidentctl.errors import ConfigurationError
from incidentctl.settings import DEFAULT_SEVERITIES, Secret, Settings, find_file, load, resolve_secret

CAPABILITIES = frozenset({"backup", "circuit_breaker", "scale_down", "prepare_rollback", "isolation", "rate_limit"})


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def read(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "incidentctl.yml"
    file.write_text(text, encoding="utf-8")
    return load(file, {}, tmp_path, CAPABILITIES, CAPABILITIES)


def complaints(tmp_path: Path, text: str) -> list[str]:
    """Return the lines of the error, without the file's name: `line: path: what` and `  Fix: how`."""
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, text)
    assert caught.value.exit_code == 3
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"{tmp_path}/incidentctl.yml cannot be used: ")
    told, fixes = lines[1::2], lines[2::2]
    assert all(line.startswith(f"{tmp_path}/incidentctl.yml:") for line in told)
    assert all(line.startswith("  Fix: ") and len(line) > 8 for line in fixes)
    assert len(told) == len(fixes)
    return [line.removeprefix(f"{tmp_path}/incidentctl.yml:") for line in lines[1:]]


# --- defaults and values --------------------------------------------------------------------------


def test_without_a_file_everything_has_its_default(tmp_path: Path) -> None:
    found = load(None, {}, tmp_path, CAPABILITIES)
    assert found.inventory is None
    assert found.state_dir == tmp_path / "state" / "incidentctl"
    assert found.record_url == f"sqlite:///{tmp_path}/state/incidentctl/record.db"
    assert found.memory_bank == tmp_path / "state" / "incidentctl" / "memory_bank"
    assert (found.verify.window, found.verify.within, found.deadlines.phase) == (30.0, 120.0, 600.0)
    assert (found.guards.max_hosts_changed, found.guards.max_fraction_changed) == (10, 0.5)
    assert (found.tracker.kind, found.execution.kind) == ("file", "local")
    critical, high = found.severities["critical"], found.severities["high"]
    assert (critical.contain, critical.approvals) == (("backup", "scale_down", "circuit_breaker"), 1)
    assert (critical.sla.acknowledge, critical.sla.contain, critical.sla.resolve) == (300.0, 900.0, 14400.0)
    assert (high.contain, high.ticket) == (("enhanced_monitoring", "prepare_rollback"), True)
    for name in ("medium", "low"):
        assert (found.severities[name].contain, found.severities[name].watch) == ((), True)
    assert all(severity.notify == () for severity in found.severities.values())


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "severities:\n", "severities: {high: }\nguards:\n"])
def test_a_key_without_a_value_was_not_set(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == load(None, {"INCIDENTCTL_CONFIG": ""}, tmp_path / "nowhere").model_copy(
        update={"memory_bank": tmp_path / "memory_bank"}
    )


def test_the_defaults_can_be_built_without_a_file() -> None:
    assert set(Settings().severities) == set(DEFAULT_SEVERITIES)


def test_what_is_said_of_a_severity_leaves_the_rest_of_it_as_it_was(tmp_path: Path) -> None:
    found = read(tmp_path, "severities: {critical: {contain: [isolation], sla: {resolve: 1h}}, low: {watch: false}}")
    critical = found.severities["critical"]
    assert critical.contain == ("isolation",)
    assert (critical.sla.acknowledge, critical.sla.resolve) == (300.0, 3600.0)
    assert found.severities["low"].watch is False
    assert found.severities["high"].ticket is True


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("4h", 14400), ("1d", 86400), ("90", 90), ("'90'", 90), ("0.5s", 0.5), ("' 2 m '", 120)],
)
def test_durations_are_seconds(tmp_path: Path, text: str, seconds: float) -> None:
    assert read(tmp_path, f"verify: {{within: {text}}}").verify.within == seconds


NO_DURATIONS = [
    "soon",
    "5 minutes",
    "-5m",
    "true",
    "[]",
    ".inf",
    ".nan",
    "1e9",
    "''",
    "5mm",
    "٣s",
    "0",
    "0x" + "f" * 9999,
]


@pytest.mark.parametrize("text", NO_DURATIONS)
def test_what_is_no_duration_is_an_error(tmp_path: Path, text: str) -> None:
    assert complaints(tmp_path, f"verify:\n  within: {text}\n")[0].startswith("2: verify.within: ")


def test_relative_paths_are_meant_from_the_file_s_folder(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "own.yml").touch()
    (tmp_path / "conf" / "incidentctl.yml").write_text(
        "inventory: inventories/production\nstate_dir: ../state\nmemory_bank: /elsewhere\nrecord_url: sqlite:///own.db\n"
        "custom_playbooks: {flush: own.yml}\naudiences: {ops: {send: [{file: secrets/ops}, {file: ~/ops}]}}\n"
    )
    found = load(Path("conf/incidentctl.yml"), {}, tmp_path)
    assert found.inventory == tmp_path / "conf/inventories/production"
    assert found.state_dir == tmp_path / "state"
    assert found.memory_bank == Path("/elsewhere")
    assert found.record_url == f"sqlite:///{tmp_path}/conf/own.db"
    assert found.custom_playbooks["flush"].playbook == tmp_path / "conf/own.yml"
    assert [secret.file for secret in found.audiences["ops"].send] == [
        tmp_path / "conf/secrets/ops",
        tmp_path / "home/ops",
    ]


def test_a_playbook_of_your_own_may_say_which_causes_it_is_for(tmp_path: Path) -> None:
    (tmp_path / "own.yml").touch()
    own = "{playbook: own.yml, for: [disk, inodes], title: Remove old logs}"
    found = read(tmp_path, f"custom_playbooks: {{space: {own}, flush: own.yml}}\n").custom_playbooks
    assert found["space"].playbook == found["flush"].playbook == tmp_path / "own.yml"
    assert found["space"].causes == ("disk", "inodes")
    assert found["space"].title == "Remove old logs"
    assert found["flush"].causes == ()


def test_all_that_is_wrong_with_playbooks_of_your_own_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "own.yml").touch()
    text = """\
custom_playbooks:
  space:
    playbook: own.yml
    for: [disk, inode, "?"]
  flush:
    playbook: gone.yml
    fro: [disk]
  cache: [own.yml]
  plain: gone.yml
  none: {for: disk}
"""
    found = complaints(tmp_path, text)
    assert found[:3] == [
        "4: custom_playbooks.space.for.1: there is no kind of cause inode",
        "  Fix: did you mean inodes?",
        "4: custom_playbooks.space.for.2: there is no kind of cause ?",
    ]
    assert "  Fix: choose from certificate, changed, clock, configuration, connections, cpu, " in found[3]
    assert found[4:] == [
        "6: custom_playbooks.flush.playbook: there is no such file",
        "  Fix: write a path from the folder that this file is in",
        "7: custom_playbooks.flush.fro: unknown key",
        "  Fix: did you mean for?",
        "8: custom_playbooks.cache: must be a mapping of keys",
        "  Fix: write a mapping of keys here",
        "9: custom_playbooks.plain: there is no such file",
        "  Fix: write a path from the folder that this file is in",
        "10: custom_playbooks.none.for: must be a list",
        "  Fix: write a list here",
        "10: custom_playbooks.none.playbook: is missing",
        "  Fix: add it",
    ]


def test_the_record_lies_in_the_state_folder_unless_told_otherwise(tmp_path: Path) -> None:
    assert read(tmp_path, "state_dir: here").record_url == f"sqlite:///{tmp_path}/here/record.db"
    url = "postgresql+psycopg://ada@db.example/incidents"
    assert read(tmp_path, f"record_url: {url}").record_url == url


def test_the_first_place_that_has_a_file_counts(tmp_path: Path) -> None:
    own, user = tmp_path / "incidentctl.yml", tmp_path / "config" / "incidentctl" / "incidentctl.yml"
    assert find_file(None, {}, tmp_path) is None
    user.parent.mkdir(parents=True)
    user.touch()
    assert find_file(None, {}, tmp_path) == user
    own.touch()
    assert find_file(None, {}, tmp_path) == own
    assert find_file(None, {"INCIDENTCTL_CONFIG": "other.yml"}, tmp_path) == tmp_path / "other.yml"
    assert find_file(Path("third.yml"), {"INCIDENTCTL_CONFIG": "other.yml"}, tmp_path) == tmp_path / "third.yml"


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b"a: \x00"])
def test_a_named_file_that_cannot_be_read_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "named.yml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"named\.yml"):
        load(file, {}, tmp_path)
    with pytest.raises(ConfigurationError):
        load(tmp_path, {}, tmp_path)
    with pytest.raises(ConfigurationError):
        load(Path("a\0b"), {}, tmp_path)


def test_another_state_folder_can_be_named_at_once(tmp_path: Path) -> None:
    file = tmp_path / "incidentctl.yml"
    file.write_text("state_dir: state\n")
    environ = {"INCIDENTCTL_STATE_DIR": "/other/disk"}
    for named in (file, None):
        found = load(named, environ, tmp_path / "elsewhere", CAPABILITIES)
        assert found.state_dir == Path("/other/disk")
        assert found.record_url == "sqlite:////other/disk/record.db"
    assert load(file, {"INCIDENTCTL_STATE_DIR": "here"}, tmp_path, CAPABILITIES).state_dir == tmp_path / "here"
    assert load(file, {"INCIDENTCTL_STATE_DIR": ""}, tmp_path, CAPABILITIES).state_dir == tmp_path / "state"


# --- errors ---------------------------------------------------------------------------------------


def test_all_errors_are_told_at_once_each_with_its_line_and_fix(tmp_path: Path) -> None:
    text = """\
inventory: inventories/production
inventry: x
severities:
  critical:
    contain: [backup, bakup]
    notify:
      - on_call
      - on_cal
    sla: {acknowledge: soon}
    contian: []
  hihg: {}
audiences:
  on_call:
    send:
      - mailto://ada@example.com
      - {env: A, file: b}
    escalate_after: 5m
    then: nobody
  on:
    send: []
guards:
  max_hosts_changed: ten
  max_fraction_changed: 7
guards:
  max_hosts_changed: three
tracker: {kind: jira}
1: 2
record_url: postgresql://ada:hunter2@db/x
custom_playbooks: {backup: missing.yml}
"""
    assert complaints(tmp_path, text) == [
        "2: inventry: unknown key",
        "  Fix: did you mean inventory?",
        "5: severities.critical.contain.1: there is no capability bakup",
        "  Fix: did you mean backup?",
        "8: severities.critical.notify.1: there is no audience on_cal",
        "  Fix: did you mean on_call?",
        "9: severities.critical.sla.acknowledge: is not a duration",
        "  Fix: write 30s, 5m, 4h, 1d, or a number of seconds",
        "10: severities.critical.contian: unknown key",
        "  Fix: did you mean contain?",
        "11: severities.hihg: there is no severity hihg",
        "  Fix: did you mean high?",
        "15: audiences.on_call.send.0: a secret is never written here",
        "  Fix: write {env: NAME} or {file: PATH}, and put it there",
        "16: audiences.on_call.send.1: must be exactly one of env and file",
        "  Fix: write {env: NAME} or {file: PATH}",
        "18: audiences.on_call.then: there is no audience nobody",
        "  Fix: choose from on_call",
        "19: audiences.on: the key on is not text to YAML",
        "  Fix: put it in quotes",
        "24: guards: is there twice (first in line 21)",
        "  Fix: keep one of the two",
        "25: guards.max_hosts_changed: must be a whole number",
        "  Fix: write a whole number here",
        "26: tracker.kind: must be 'file', 'webhook' or 'github'",
        "  Fix: choose 'file', 'webhook' or 'github'",
        "27: 1: the key 1 is not text to YAML",
        "  Fix: put it in quotes",
        "28: record_url: a secret is never written here",
        "  Fix: leave the password out (PostgreSQL reads it from PGPASSFILE)",
        "29: custom_playbooks.backup: a capability of ours has this name",
        "  Fix: choose another name",
        "29: custom_playbooks.backup: there is no such file",
        "  Fix: write a path from the folder that this file is in",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "1: this is not YAML"),
        ("inventory: x\n\tverify: 1", "2: this is not YAML"),
        ("inventory: x\nverify: !!python/object:os.system {}", "2: this is not YAML"),
        ("inventory: x\n---\ninventory: y", "2: this is not YAML"),
        ("inventory: x\nverify: \x07", "2: this is not YAML"),
        ("a: &x [*y]", "1: this is not YAML"),
        ("? [a]\n: b", "1: this is not YAML"),
        ("verify: 2026-13-45", "1: this is not YAML"),
        ("[" * 5000, "1: this is not YAML"),
        ("x" * 1_000_001, "1: the file is larger"),
        ("- inventory", "1: must be a mapping"),
        ("just words", "1: must be a mapping"),
        ("severities: [critical]", "1: severities: must be a mapping"),
        ("severities: {critical: []}", "1: severities.critical: must be a mapping"),
        ("severities: {critical: {contain: backup}}", "1: severities.critical.contain: must be a list"),
        ("severities:\n  low:\n    contain:\n      - 3", "4: severities.low.contain.0: must be text"),
        ("severities: {low: {approvals: true}}", "1: severities.low.approvals: must be a whole number"),
        ("severities: {low: {watch: maybe}}", "1: severities.low.watch: must be true or false"),
        ("severities: {sev1: {}}", "1: severities.sev1: there is no severity sev1"),
        ("audiences: {a: {escalate_after: 5m}}", "1: audiences.a: escalate_after and then"),
        ("tracker: {kind: webhook}", "1: tracker: url belongs to kind webhook"),
        ("tracker: {kind: webhook, url: {evn: X}}", "1: tracker.url.evn: unknown key"),
        ("monitoring: {prometheus: localhost:9090}", "1: monitoring.prometheus.0.url: is not a URL"),
        ("monitoring: {prometheus: 'http://a:b@c'}", "1: monitoring.prometheus.0.url: a secret is never"),
        ("monitoring: {alertmanager: [http://a, 'http://ann@c']}", "1: monitoring.alertmanager.1.url: a user is never"),
        ("monitoring: {prometheus: 'http://c/?token=x'}", "1: monitoring.prometheus.0.url: is more than where"),
        ("monitoring: {prometheus: 'http://c:x'}", "1: monitoring.prometheus.0.url: has a port that is no"),
        ("monitoring: {queries: {Error-Rate: up}}", "1: monitoring.queries: names a query by something else"),
        ("monitoring: {queries: {a: up, b: up, c: up, d: up, e: up, f: up}}", "1: monitoring.queries: has more than 5"),
        ("verify: {on_worse: panic}", "1: verify.on_worse: must be 'ask' or 'forward'"),
        ("monitoring: {prometheus: 9090}", "1: monitoring.prometheus: is not a URL"),
        ("monitoring:\n  prometheus:\n    - {uri: http://a}", "3: monitoring.prometheus.0.uri: unknown key"),
        ("monitoring: {prometheus: {url: http://a, user: x}}", "1: monitoring.prometheus.0: user and password belong"),
        ("monitoring: {prometheus: {url: http://a, token: hunter2}}", "1: monitoring.prometheus.0.token: a secret is"),
        (
            "monitoring: {prometheus: {url: http://a, user: x, password: {env: A}, token: {env: B}}}",
            "1: monitoring.prometheus.0: user is a name without a colon, and token is another login",
        ),
        ("monitoring: {prometheus: 'http://[::1'}", "1: monitoring.prometheus.0.url: "),
        ("guards: {max_fraction_changed: 0}", "1: guards.max_fraction_changed: must be greater than 0"),
        ("record_url: mysql://db/x", "1: record_url: is not a record's URL"),
        ("record_url: postgresql://db/x?password=hunter2", "1: record_url: a secret is never"),
        ("inventory: ''", "1: inventory: is not a path"),
        ('inventory: "a\\0b"', "1: inventory: is not a path"),
        ("inventory: [a]", "1: inventory: must be a path"),
        ("inventory: ~nobody-has-this-name/x", "1: inventory: names a user without a home folder"),
        ("execution: {kind: remote}", "1: execution.kind: must be 'local'"),
        ('"a\\nb\\e[31m": 1', "1: a\\nb\\x1b[31m: unknown key"),
        ("base: &b {window: x}\nverify: {<<: *b}", "1: base: unknown key"),
    ],
)
def test_every_mistake_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    found = complaints(tmp_path, text)
    assert any(line.startswith(said) for line in found), found


def test_no_error_repeats_a_secret(tmp_path: Path) -> None:
    for text in (
        "audiences: {a: {send: [hunter2]}}",
        "audiences: {a: {send: [{env: [hunter2]}]}}",
        "audiences: {a: {send: hunter2}}",
        "tracker: {kind: webhook, url: hunter2}",
        "record_url: postgresql://a:hunter2@b/c",
        "audiences: {a: {send: [{env: A} hunter2]}}",
    ):
        assert "hunter2" not in "".join(complaints(tmp_path, text))


def test_more_errors_than_help_are_counted(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, "".join(f"key{number}: 1\n" for number in range(200)))
    assert "200 errors" in str(caught.value)
    assert str(caught.value).endswith("… and 150 more")


def test_capabilities_are_checked_only_when_they_are_known(tmp_path: Path) -> None:
    file = tmp_path / "incidentctl.yml"
    file.write_text("severities: {low: {contain: [anything]}}")
    assert load(file, {}, tmp_path).severities["low"].contain == ("anything",)


# --- secrets --------------------------------------------------------------------------------------


def test_a_secret_comes_from_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    monkeypatch.setenv("A_SECRET", "from the environment")
    assert resolve_secret(Secret(env="A_SECRET")) == "from the environment"
    assert resolve_secret(Secret(file=tmp_path / "secret")) == "from a file"
    assert Settings().resolve_secret(Secret(env="A_SECRET")) == "from the environment"


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff"])
def test_a_secret_that_is_not_there_names_its_place(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    for secret, place in (
        (Secret(file=tmp_path / "secret"), "secret"),
        (Secret(env="NOT_SET_ANYWHERE"), "NOT_SET_ANYWHERE"),
    ):
        with pytest.raises(ConfigurationError, match=place) as caught:
            resolve_secret(secret)
        assert caught.value.fix


def test_the_environment_variables_that_hold_secrets_are_known(tmp_path: Path) -> None:
    text = """\
audiences: {a: {send: [{env: ONE}, {file: two}]}}
tracker: {kind: webhook, url: {env: THREE}}
monitoring: {prometheus: {url: http://a, token: {env: FOUR}}, alertmanager: [{url: http://b, user: x, password: {env: FIVE}}]}
"""
    assert read(tmp_path, text).secret_environment() == {"ONE", "THREE", "FOUR", "FIVE"}


def test_monitoring_is_a_server_or_several_with_a_login_or_without(tmp_path: Path) -> None:
    two = "[http://b, {url: https://c, token: {file: t}, ca_file: ca.pem}]"
    text = f"monitoring: {{prometheus: http://a:9090, alertmanager: {two}}}"
    found = read(tmp_path, text).monitoring
    assert [server.url for server in (*found.prometheus, *found.alertmanager)] == [
        "http://a:9090",
        "http://b",
        "https://c",
    ]
    assert found.alertmanager[1].ca_file == tmp_path / "ca.pem"
    assert read(tmp_path, "monitoring: {prometheus: }").monitoring.prometheus == ()


# --- any input ------------------------------------------------------------------------------------

KEYS = [
    *Settings.model_fields,
    *DEFAULT_SEVERITIES,
    "contain",
    "notify",
    "sla",
    "send",
    "env",
    "file",
    "kind",
    "url",
    "then",
]
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | st.text(max_size=8) | st.sampled_from(KEYS)
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
SIGNS = ["\n  ", "<<: ", "&a ", "*a", "!!set ", "!!int ", "!!binary ", "0x", "\0", "\ud800"]
WORDS = st.lists(st.sampled_from([*KEYS, *SIGNS, *"{}[]:,-#&*!|>'\"%@`?~<\n\t "]))
fuzzed = settings(max_examples=300, suppress_health_check=list(HealthCheck))


def settle(tmp_path: Path, text: str) -> None:
    """Either settings or an error in words: anything else is raised, and fails the test."""
    file = tmp_path / "incidentctl.yml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    said = "Fix: "
    try:
        load(file, {}, tmp_path, CAPABILITIES, CAPABILITIES)
    except ConfigurationError as error:
        said = str(error)
    assert "Fix: " in said
    assert said.encode("utf-8"), "it can be printed"


@given(text=st.text(alphabet=st.characters(), max_size=200))
@fuzzed
def test_no_text_ends_in_a_traceback(tmp_path: Path, text: str) -> None:
    settle(tmp_path, text)


@given(words=WORDS)
@fuzzed
def test_no_yaml_however_broken_ends_in_a_traceback(tmp_path: Path, words: list[str]) -> None:
    settle(tmp_path, "".join(words))


@given(data=st.dictionaries(st.sampled_from(sorted(Settings.model_fields)), VALUES, max_size=6))
@fuzzed
def test_no_values_end_in_a_traceback(tmp_path: Path, data: dict[str, Any]) -> None:
    settle(tmp_path, yaml.safe_dump(data, allow_unicode=True))


def test_a_file_that_would_grow_without_end_is_an_error(tmp_path: Path) -> None:
    rows = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]
    assert len(complaints(tmp_path, "\n".join(rows))) == 2 * len(rows)
    complaints(tmp_path, "severities: &a {critical: *a, low: {sla: *a}}\naudiences: &b {c: *b}")


def test_the_environment_is_left_alone(tmp_path: Path) -> None:
    before = dict(os.environ)
    read(tmp_path, "inventory: x")
    assert dict(os.environ) == before
