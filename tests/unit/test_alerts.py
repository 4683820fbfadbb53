"""An alert of Alertmanager → an incident's title, severity and scope: names of the inventory, and nothing else, get through."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentctl import alerts
from incidentctl.plan import Inventory, parse_inventory
from incidentctl.settings import Alerts

HOSTILE = "{{ lookup('pipe', 'id') }} $(id) `id`\n\x1b[31m\u202e\x00 ; rm -rf /"


@pytest.fixture(scope="module")
def inventory() -> Inventory:
    catalogue = [
        {"name": "shop", "hosts": "web"},
        {"name": "database", "hosts": "db1"},
        {"name": "job", "hosts": "db1"},
    ]
    hosts = {"web1": {"ansible_host": "192.0.2.11"}, "web2": {"ansible_host": "2001:db8::12"}, "db1": {}, "mon1": {}}
    return parse_inventory(
        {
            "_meta": {"hostvars": {name: {**more, "incident_services": catalogue} for name, more in hosts.items()}},
            "all": {"children": ["web", "rest"]},
            "web": {"hosts": ["web1", "web2"]},
            "rest": {"hosts": ["db1", "mon1"]},
        }
    )


def alert(status: str = "firing", text: str = "", since: str = "2026-01-01T10:00:00.123456789Z", **labels: str) -> Any:
    notes = {"summary": text} if text else {}
    return {
        "status": status,
        "labels": labels,
        "annotations": notes,
        "startsAt": since,
        "endsAt": "0001-01-01T00:00:00Z",
    }


def payload(*entries: Any, **more: Any) -> Any:
    return {
        "version": "4",
        "groupKey": '{}:{alertname="Odd"}',
        "status": "firing",
        "truncatedAlerts": 0,
        "receiver": "incidentctl",
        "alerts": list(entries),
        **more,
    }


def parse(*entries: Any, **more: Any) -> alerts.Notification:
    return alerts.parse(payload(*entries, **more))


# --- severity -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "severity"),
    [
        ("critical", "critical"),
        (" P1 ", "critical"),
        ("sev2", "high"),
        ("SEV4", "low"),
        ("error", "high"),
        ("warning", "medium"),
        ("info", "low"),
        ("page", "high"),
        ("", "high"),
        (HOSTILE, "high"),
    ],
)
def test_the_severity_is_that_of_the_label_through_the_aliases(label: str, severity: str) -> None:
    assert alerts.severity(parse(alert(alertname="Odd", severity=label)), Alerts()) == severity


def test_a_site_says_itself_what_its_labels_mean() -> None:
    policy = Alerts(severities={"Page": "critical", "p2": "medium"}, severity="low")
    found = [alerts.severity(parse(alert(severity=label)), policy) for label in ("page", "p2", "warning", "high")]
    assert found == ["critical", "medium", "low", "high"]


def test_of_several_alerts_the_highest_that_still_fires_counts() -> None:
    told = parse(alert(severity="low"), alert(severity="p2"), alert("resolved", severity="critical"))
    assert alerts.severity(told, Alerts()) == "high"


# --- scope ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "services", "hosts", "affected"),
    [
        ({"service": "shop", "instance": "web1:8000"}, ["shop"], ["web1", "web2"], ("shop",)),
        ({"job": "shop"}, ["shop"], ["web1", "web2"], ("shop",)),
        ({"app": "database", "service": "shop"}, ["database", "shop"], ["db1", "web1", "web2"], ("database", "shop")),
        ({"job": "node", "instance": "db1:9100"}, ["database", "job"], ["db1"], ()),
        ({"instance": "192.0.2.11:9100"}, ["shop"], ["web1"], ()),
        ({"instance": "[2001:db8::12]:9100"}, ["shop"], ["web2"], ()),
        ({"instance": "https://WEB2/health"}, ["shop"], ["web2"], ()),
        ({"node": "db1"}, ["database", "job"], ["db1"], ()),
        ({"instance": "elsewhere:9100"}, ["database", "job", "shop"], ["db1", "web1", "web2"], ()),
        ({"instance": "mon1:9100"}, ["database", "job", "shop"], ["db1", "web1", "web2"], ()),
        ({"service": "web:!db1", "instance": "all"}, ["database", "job", "shop"], ["db1", "web1", "web2"], ()),
        ({"service": HOSTILE, "instance": "[" + HOSTILE}, ["database", "job", "shop"], ["db1", "web1", "web2"], ()),
    ],
)
def test_labels_mean_a_service_or_a_host_where_they_are_its_name(
    inventory: Inventory, labels: dict[str, str], services: list[str], hosts: list[str], affected: tuple[str, ...]
) -> None:
    found = alerts.scope(parse(alert(alertname="Odd", **labels)), inventory)
    assert ([service.name for service in found.services], list(found.hosts)) == (services, hosts)
    assert found.affected == affected


def test_an_alert_that_ended_is_not_where_it_burns(inventory: Inventory) -> None:
    told = parse(alert("resolved", service="database"), alert(service="shop", instance="web2:8000"))
    assert alerts.scope(told, inventory).affected == ("shop",)
    assert alerts.named(told, inventory) == (("shop",), ("web2",))


# --- words ----------------------------------------------------------------------------------------


def test_it_is_called_after_its_alerts_and_what_the_first_says() -> None:
    told = parse(alert(alertname="Slow"), alert(alertname="Down", text="nothing answers"), alert(alertname="Slow"))
    assert alerts.title(told) == "Slow, Down: nothing answers"
    assert alerts.in_words(told) == "alert: Slow, Down (3 firing)"
    assert alerts.in_words(parse(alert("resolved", alertname="Slow"), status="resolved")) == "the alert ended: Slow"


def test_the_onset_is_the_first_of_those_that_fire() -> None:
    told = parse(
        alert(since="2026-01-01T10:00:05Z"),
        alert(since="2026-01-01T11:00:00+02:00"),
        alert("resolved", since="2020-01-01T00:00:00Z"),
        alert(since="0001-01-01T00:00:00Z"),
        alert(since="yesterday"),
    )
    assert alerts.onset(told) == datetime(2026, 1, 1, 9, 0, tzinfo=UTC)
    assert alerts.onset(parse(alert(since="2026-01-01T10:00:00"))) is None, "a time without a zone is none"


def test_what_was_written_is_kept_plain_and_short() -> None:
    long = HOSTILE * 100
    told = parse(*[alert(alertname=long, severity=long, instance=long, text=long)] * 50, truncatedAlerts=7)
    kept = alerts.facts(told, "high", ["web1"])
    assert (len(kept["alerts"]), kept["left_out"]) == (20, 37)
    assert len(json.dumps(kept)) < 20_000
    texts = [alerts.title(told), alerts.in_words(told), *(str(v) for row in kept["alerts"] for v in row.values())]
    assert all(text.isprintable() and len(text) < 300 for text in texts)


def test_the_group_is_the_same_at_each_repetition_and_hides_its_text() -> None:
    first, again = parse(alert(severity="low")), parse(alert("resolved"), status="resolved")
    other = parse(alert(), groupKey="another \ud800")
    assert first.group == again.group != other.group
    assert len(first.group) == 64


# --- what is none ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ([], "the document must be an object"),
        ({}, 'version must be "4"'),
        (payload(alert(), version="1"), 'version must be "4"'),
        (payload(alert(), groupKey=""), "groupKey must be a text"),
        (payload(alert(), groupKey=7), "groupKey must be a text"),
        (payload(alert(), status="odd"), "status must be firing or resolved"),
        (payload(), "alerts must be a list with at least one alert"),
        (payload("x"), "alerts[0] must be an object"),
        (payload(alert(), {"status": "firing"}), "alerts[1].labels must be an object"),
        (payload({**alert(), "annotations": "x"}), "alerts[0].annotations must be an object"),
        (payload({**alert(), "status": None}), "alerts[0].status must be firing or resolved"),
    ],
)
def test_what_is_no_notification_is_told_in_a_line(document: Any, why: str) -> None:
    with pytest.raises(alerts.NotUnderstood) as caught:
        alerts.parse(document)
    assert str(caught.value) == why


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=10,
)


@given(_JSON, st.sampled_from(["version", "groupKey", "status", "alerts", "truncatedAlerts"]))
def test_anything_in_any_place_is_taken_or_refused(value: Any, key: str) -> None:
    document = {**payload(alert()), key: value}
    with contextlib.suppress(alerts.NotUnderstood):
        assert json.dumps(alerts.facts(alerts.parse(document), "high", []), allow_nan=False)


@given(st.dictionaries(st.sampled_from([*alerts.SERVICE_LABELS, *alerts.HOST_LABELS, "severity"]), _JSON), _JSON)
def test_whatever_labels_say_only_names_of_the_inventory_get_through(labels: dict[str, Any], text: Any) -> None:
    known = parse_inventory(
        {
            "_meta": {"hostvars": {"web1": {"incident_services": [{"name": "shop", "hosts": "web1"}]}}},
            "all": {"hosts": ["web1"]},
        }
    )
    entry = {"status": "firing", "labels": labels, "annotations": {"summary": text}, "startsAt": text}
    told = alerts.parse(payload(entry))
    found = alerts.scope(told, known)
    assert ([service.name for service in found.services], found.hosts) == (["shop"], ("web1",))
    assert alerts.severity(told, Alerts()) in ("critical", "high", "medium", "low")
    assert alerts.title(told).isprintable()
