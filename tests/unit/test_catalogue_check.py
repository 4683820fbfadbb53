"""The catalogue, as the driver sees it before any host does: what is wrong whatever its templates come to is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from incidentctl import catalogue, plan, watch
from incidentctl import session as sessions
from incidentctl.errors import ConfigurationError
from incidentctl.record import open_record
from incidentctl.session import Session
from incidentctl.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
ARGV = {"start": ["a"], "stop": ["b"], "status": ["c"]}

REQUEST = {
    "url": "https://{{ host }}:{{ port }}/x", "method": "{{ method }}", "headers": {"X-Reason": "{{ reason }}"},
    "secret_ref": {"file": "{{ etc }}/admin", "scheme": "{{ scheme }}", "user": "{{ user }}"}, "ca_file": "{{ etc }}/ca.pem",
    "expect_status": "{{ status }}", "timeout_s": "{{ patience }}",
}  # fmt: skip


def nothing(*_words: Any, **_facts: Any) -> None:
    """Neither shows nor answers anything."""


def told(*services: dict[str, Any]) -> list[str]:
    """Return what is said to be wrong."""
    try:
        catalogue.unless_wrong(services)
    except ConfigurationError as error:
        return error.why.splitlines()
    return []


@pytest.mark.parametrize(
    "file",
    [
        "inventories/demo/group_vars/all.yml",
        "inventories/lab/group_vars/all.yml",
        "driver/incidentctl/data/services.yml",
    ],
)
def test_ours_are_right(file: str) -> None:
    written = yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))
    assert written["incident_services"]
    assert told(*written["incident_services"]) == []


def test_all_that_is_wrong_is_told_at_once() -> None:
    shop = {"name": "shop", "hosts": "web", "manager": "systmed", "prots": [80]}
    mail = {"name": "mail", "hosts": "web", "manager": "command", "control": {**ARGV, "stop": "b"}}
    assert told(shop, mail) == [
        "- shop: unknown key prots (did you mean ports?)",
        "- shop: manager must be one of compose, systemd, command, not 'systmed' (did you mean systemd?)",
        "- mail: control.stop must be a list of words (argv)",
    ]


@pytest.mark.parametrize(
    "service",
    [
        {"manager": "command", "control": {**ARGV, "start": "{{ control + ['start'] }}"}},
        {"manager": "command", "control": "{{ control }}"},
        {"ports": "{{ ports }}", "health": {"url": "{{ url }}/health", "timeout_s": "{{ patience }}"}},
        {"manager": "{{ manager }}", "compose_file": "{{ file }}"},
        {"maintenance": {"on": "{{ on }}", "off": {"url": "{{ url }}"}}},
        {
            "maintenance": {
                "on": REQUEST,
                "off": REQUEST,
                "status": {**REQUEST, "expect": "{{ said }}", "within_s": "{{ s }}"},
            }
        },
        {"maintenance": {"on": {**REQUEST, "json": "{{ said }}"}, "off": REQUEST, "status": REQUEST}},
        {"circuit_breakers": [{"name": "payments", "open": "{{ on }}", "close": {**REQUEST, "form": "{{ f }}"}}]},
        {"logs": "{{ logs }}", "data": [{"kind": "{{ kind }}", "path": "{{ path }}"}], "releases": "{{ releases }}"},
        {"logs": ["{{ common_log }}"], "data": ["{{ row }}"], "releases": {"kind": "{{ kind }}", "current": ["v"]}},
    ],
)
def test_a_template_may_come_to_what_is_right(service: dict[str, Any]) -> None:
    assert told({"name": "shop", "hosts": "web", **service}) == []


def test_what_is_wrong_beside_a_template_is_told() -> None:
    control = {**ARGV, "start": "{{ control + ['start'] }}", "restart": ["d"]}
    (said,) = told({"name": "shop", "hosts": "web", "manager": "command", "control": control})
    assert said == "- shop: unknown key control.restart (did you mean start?)"


def test_a_kind_that_is_no_word_is_told() -> None:
    (said,) = told({"name": "shop", "hosts": "web", "logs": [{"kind": ["file"], "path": "/var/log/x"}]})
    assert said.startswith("- shop: logs: kind must be one of")


def test_what_is_wrong_with_a_request_is_told() -> None:
    off = {**REQUEST, "url": "http://ann:hunter2@shop/", "timeout_s": 1000, "form": {}, "body": "x"}
    found = told({"name": "shop", "hosts": "web", "maintenance": {"on": REQUEST, "off": off}})
    assert [line.partition("maintenance.off.")[2].split()[0] for line in found] == ["url", "form", "timeout_s"]
    assert "hunter2" not in str(found)


def test_a_bare_on_is_taken_as_it_was_meant() -> None:
    """As it comes out of `ansible-inventory`: YAML made a boolean of the word, JSON a text of that."""
    toggle = {"true": {"url": "http://x/on"}, "false": {"url": "http://x/off"}}
    assert told({"name": "shop", "hosts": "web", "maintenance": toggle}) == []


def test_no_plan_is_made_of_what_no_host_will_understand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = {"name": "shop", "hosts": "all", "manager": "systemd"}
    listed = {"_meta": {"hostvars": {"web1": {"incident_services": [shop]}}}, "ungrouped": {"hosts": ["web1"]}}
    monkeypatch.setattr(Session, "hosts", lambda _self: plan.parse_inventory(listed))
    with open_record(f"sqlite:///{tmp_path}/record.db") as record:
        session = Session(Settings(state_dir=tmp_path, memory_bank=tmp_path), record, "ann", (str(tmp_path),))
        with pytest.raises(ConfigurationError) as caught:
            sessions.plans(session, "high", None, ())
        assert caught.value.why == "- shop: manager systemd needs unit"

        # Nor is an incident declared: no host would look, and nothing be seen to be wrong.
        for begin in (
            lambda: sessions.declare(session, "x", "high", None, (), nothing, nothing),
            lambda: watch.suggest(session, None, (), nothing),
        ):
            with pytest.raises(ConfigurationError, match="catalogue"):
                begin()
        assert record.incidents() == []
