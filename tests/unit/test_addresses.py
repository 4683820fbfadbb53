"""Addresses: which server each leads to, or why that cannot be tried without sending."""

from __future__ import annotations

import pytest

from incidentctl import addresses
from incidentctl.addresses import NotTried, Server


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("address", "server"),
    [
        ("json://hooks.example/path", Server("hooks.example", 80, tls=False)),
        ("jsons://user:secret@hooks.example:8443/path?x=1", Server("hooks.example", 8443, tls=True)),
        ("jsons://hooks.example/?verify=no", Server("hooks.example", 443, tls=True, verified=False)),
        ("forms://hooks.example", Server("hooks.example", 443, tls=True)),
        ("xml://[fd00::1]:8080/", Server("fd00::1", 8080, tls=False)),
        ("http://tickets.example", Server("tickets.example", 80, tls=False)),
        ("HTTPS://tickets.example/a/b", Server("tickets.example", 443, tls=True)),
    ],
)
def test_an_address_of_http_names_its_server(address: str, server: Server) -> None:
    assert addresses.server(address) == server


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("slack://token-a/token-b/token-c", "slack cannot be tried without sending"),
        ("mailto://user:secret@example.org", "mailto cannot be tried without sending"),
        ("json://:8080/secret", "it names no host"),
        ("json://host:secret/", "its port is not a number"),
    ],
)
def test_any_other_says_that_it_was_not_tried_and_keeps_the_secret(address: str, why: str) -> None:
    with pytest.raises(NotTried, match=why) as raised:
        addresses.server(address)
    assert "secret" not in str(raised.value)
    assert "token" not in str(raised.value)


def test_what_goes_through_a_proxy_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example")
    with pytest.raises(NotTried, match="behind a proxy"):
        addresses.server("https://tickets.example/")
    assert addresses.server("https://inside.example/").host == "inside.example"
    assert addresses.server("http://tickets.example/").port == 80
