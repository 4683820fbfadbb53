"""Certificates of services: shown by a port or named by the configuration, told before they expire; no other port is greeted."""

from __future__ import annotations

import os
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import (
    _capture,
    _certificates,
    _findings,
    _served_certificates,
    _synchronised,
)
from tests.unit.modules.host_figures import CALM
from tests.unit.modules.made_certificates import expired, make, serving

openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@openssl
def test_port_of_a_health_check_shows_its_certificate_and_its_file_is_not_told_again(tmp_path: Path) -> None:
    certificate = expired(tmp_path)
    with serving(certificate) as port:
        health = {"url": f"https://127.0.0.1:{port}/health"}
        (found,) = _served_certificates.look([{"name": "shop", "health": health, "config": [str(tmp_path)]}])
    assert (found["service"], found["port"], found["path"], found["name"]) == ("shop", port, None, "shop.example")
    assert found["not_after"] < datetime.now(timezone.utc).isoformat()
    assert found["is_for_host"] is False


@openssl
def test_files_that_a_configuration_holds_or_names_are_read(tmp_path: Path) -> None:
    (tmp_path / "etc" / "tls").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    make(tmp_path / "etc" / "tls", days=5).rename(tmp_path / "etc" / "tls" / "own.crt")
    named = make(tmp_path / "elsewhere", days=9, subject="/CN=named.example")
    (tmp_path / "etc" / "site.conf").write_text(f"ssl_certificate {named};\nssl_certificate /nonexistent/x.pem;\n")
    (tmp_path / "etc" / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    os.mkfifo(tmp_path / "etc" / "pipe.pem")
    found = _served_certificates.look([{"name": "shop", "config": [str(tmp_path / "etc"), "/nonexistent"]}])
    assert [(row["name"], row["path"], row["port"]) for row in found] == [
        ("shop.example", str(tmp_path / "etc" / "tls" / "own.crt"), None),
        ("named.example", str(named), None),
    ]


def test_only_ports_that_speak_tls_are_greeted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def refuse(host: str, port: int, _name: str) -> _certificates.Certificate:
        asked.append((host, port))
        raise ConnectionRefusedError

    monkeypatch.setattr(_certificates, "of_server", refuse)
    services = [
        {"name": "web", "ports": [80, 443, 8000], "health": {"url": "http://127.0.0.1/"}},
        {"name": "db", "ports": [5432]},
        {"name": "api", "ports": [8443], "health": {"url": "https://api.example:8443/"}},
        {"name": "odd", "health": {"url": "https://[broken/"}, "ports": ["x"]},
    ]
    assert _served_certificates.look(services) == []
    assert sorted(asked) == [("127.0.0.1", 443), ("api.example", 8443)]


def test_clock_is_asked_of_systemd_and_not_in_a_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_synchronised, "CONTAINER_MARKS", (str(tmp_path / "mark"),))
    for said, known in ((b"NTPSynchronized=yes\n", True), (b"NTPSynchronized=no\n", False), (b"", None)):
        monkeypatch.setattr(_capture, "capture", lambda *_words, said=said: (said, False))
        assert _synchronised.look()["synchronised"] is known
    (tmp_path / "mark").touch()
    assert _synchronised.look() == {"synchronised": None, "why_unknown": "a container has the clock of its host"}


def row(days: float, **more: Any) -> dict[str, Any]:
    now = datetime.now(timezone.utc)
    return {
        "service": "shop", "host": "shop.example", "port": 443, "path": None, "name": "shop.example", "is_for_host": True,
        "not_before": (now - timedelta(days=90)).isoformat(), "not_after": (now + timedelta(days=days)).isoformat(), **more,
    }  # fmt: skip


def found(*rows: dict[str, Any], **change: Any) -> list[dict[str, Any]]:
    return _findings.rank({}, {**CALM, "certificates": list(rows), **change}, {})


@pytest.mark.parametrize(
    ("days", "shown", "in_a_file"),
    [(-2, "critical", "warning"), (2, "critical", "warning"), (10, "warning", "info"), (20, None, None)],
)
def test_certificate_is_told_before_it_expires(days: float, shown: str | None, in_a_file: str | None) -> None:
    path = {"port": None, "host": None, "is_for_host": None, "path": "/etc/shop/tls.crt"}
    assert [one["severity"] for one in found(row(days))] == ([shown] if shown else [])
    assert [one["severity"] for one in found(row(days, **path))] == ([in_a_file] if in_a_file else [])


def test_expired_certificate_says_when_and_where() -> None:
    gone = row(-2)
    (told,) = found(gone)
    assert told["text"].startswith("shop: the certificate of shop.example on port 443 expired at 20")
    assert (told["kind"], told["service"], told["at"]) == ("certificate", "shop", gone["not_after"])
    assert told["about"]["port"] == 443
    assert found(row(2.4))[0]["text"].split(" expires in ")[1].startswith("2 days, at ")


def test_certificate_of_the_future_or_of_another_name_is_told() -> None:
    tomorrow = (datetime.now(timezone.utc) + timedelta(days=1)).isoformat()
    (early,) = found(row(90, not_before=tomorrow))
    assert (early["severity"], "is not valid before" in early["text"]) == ("critical", True)
    (other,) = found(row(90, is_for_host=False))
    assert (other["severity"], other["text"]) == (
        "info", "shop: the certificate of shop.example on port 443 is not for shop.example",
    )  # fmt: skip
    assert found(row(90, is_for_host=False, host="127.0.0.1")) == []


def test_clock_that_nothing_keeps_right_is_told() -> None:
    assert [(one["severity"], one["kind"]) for one in found(synchronised=False)] == [("info", "clock")]
    assert found(synchronised=None) == []
