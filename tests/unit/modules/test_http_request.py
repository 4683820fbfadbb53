"""What is wrong with a request is said before anything is done, all of it at once, and never with a password in it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _http_request
from ansible_collections.incidentctl.response.plugins.module_utils._catalogue import check

URL = "http://127.0.0.1:8000/x"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://shop", (False, "shop", 80, "/")),
        ("https://shop.example/a%20b?c=d#e", (True, "shop.example", 443, "/a%20b?c=d")),
        ("HTTP://shop:8000?x=//@", (False, "shop", 8000, "/?x=//@")),
        ("http://[::1]:8000/x", (False, "::1", 8000, "/x")),
        ("https://[fe80::1%25eth0]/", (True, "fe80::1%eth0", 443, "/")),
    ],
)
def test_an_address_is_taken_apart(url: str, address: tuple[Any, ...]) -> None:
    assert tuple(_http_request.address(url)) == address


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("file:///etc/passwd", "is not an http or https address"),
        ("shop:8000", "is not an http or https address"),
        (8000, "is not an http or https address"),
        ("http://", "names no host"),
        ("http://:8000/", "names no host"),
        ("http://ann:hunter2@shop/", "holds a user or a password"),
        ("http://hunter2@shop:8000/", "holds a user or a password"),
        ("http://shop:80a/", "has a port"),
        ("http://shop:/", "has a port"),
        ("http://shop:65536/", "has a port"),
        ("http://shop:0/", "has a port"),
        ("http://[::1]:x/", "has a port"),
        ("http://::1:8000/", "an IPv6 address without brackets"),
        ("http://[shop]/", "no IPv6 address"),
        ("http://[127.0.0.1]/", "no IPv6 address"),
        ("http://shop/a b", "percent-encoded"),
        ("http://shop/\r\nX: y", "percent-encoded"),
        ("http://shop/ü", "percent-encoded"),
    ],
)
def test_an_address_that_cannot_be_called_is_refused_with_the_reason(url: Any, told: str) -> None:
    why = _http_request.wrong_url(url)
    assert told in why
    assert "hunter2" not in why


def test_all_that_is_wrong_with_a_request_comes_at_once() -> None:
    request = {
        "url": "ftp://shop",
        "method": "post",
        "json": {},
        "form": ["x"],
        "body": 1,
        "headers": {"X Y": "z", "Authorization": "Bearer hunter2", "Content-Length": 1, "X-A": "b\r\nc", "X-B": ["b"]},
        "secret_ref": {"file": "token", "env": "A B", "header": "X:", "scheme": "digest", "user": "an:n", "password": "hunter2"},
        "ca_file": "ca.pem",
        "expect_status": [200, "2xx"],
        "timeout_s": "soon",
    }  # fmt: skip
    problems = _http_request.check(request)
    for told in (
        "url is not an http or https address",
        "method must be one of GET,",
        "json and form and body are two bodies",
        "form must be a mapping",
        "body must be text",
        "'X Y' is no header's name",
        "headers.Authorization: a secret is never written here: say in secret_ref",
        "headers.Content-Length cannot be chosen",
        "headers.X-A must be one line",
        "headers.X-B must be one line",
        "unknown key secret_ref.password",
        "secret_ref needs file or env, and not both",
        "secret_ref.file must be the whole path",
        "secret_ref.env must be the name",
        "secret_ref.header must be the name",
        "secret_ref.scheme must be one of bearer, basic",
        "secret_ref.user is a name without a colon, and belongs to scheme basic",
        "ca_file must be the whole path",
        "expect_status must be a number from 100 to 599",
        "timeout_s must be a number of seconds, 120 at most",
    ):
        assert [problem for problem in problems if told in problem], told
    assert len(problems) == 20
    assert "hunter2" not in str(problems)


@pytest.mark.parametrize("timeout_s", [0, -1, 121, True, "nan", float("inf"), None])
def test_a_time_that_is_none_is_refused(timeout_s: Any) -> None:
    assert _http_request.check({"url": URL, "timeout_s": timeout_s})


def test_nothing_is_wrong_with_what_can_be_asked() -> None:
    for more in (
        {},
        {"method": "PUT", "json": [1], "headers": {"X-Reason": "incident", "X-N": 1}, "timeout_s": "5"},
        {"form": {"mode": "on", "n": 1}, "expect_status": "204"},
        {"body": "on", "expect_status": [200, 409]},
        {"secret_ref": {"file": "/etc/x"}, "ca_file": "/etc/ca.pem"},
        {"secret_ref": {"env": "TOKEN", "header": "X-Api-Key"}},
        {"secret_ref": {"env": "TOKEN", "scheme": "basic", "user": "ops"}},
    ):
        assert _http_request.check({"url": URL, **more}) == []


def catalogue(**toggle: Any) -> list[str]:
    on = {"url": URL, "json": {"enabled": True}}
    return check([{"name": "shop", "hosts": "web", "maintenance": {"on": on, "off": {"url": URL}, **toggle}}])


def test_the_catalogue_names_the_request_that_is_wrong() -> None:
    wrong = {"url": "http://[x]/", "bdoy": "x", "timeout_s": 1000}
    assert [problem.partition(" ")[0] for problem in [p.removeprefix("shop: ") for p in catalogue(off=wrong)]] == [
        "unknown",
        "maintenance.off.url",
        "maintenance.off.timeout_s",
    ]
    (breaker,) = check(
        [
            {
                "name": "shop",
                "hosts": "web",
                "circuit_breakers": [{"name": "a", "open": {"url": URL}, "close": {"url": "x"}}],
            }
        ]
    )
    assert breaker == "shop: circuit_breakers.a.close.url is not an http or https address"
    (health,) = check([{"name": "shop", "hosts": "web", "health": {"url": "http://a:b@shop/"}}])
    assert health.startswith("shop: health.url holds a user or a password")


def test_a_status_needs_something_to_be_compared_with() -> None:
    status = {"url": URL}
    assert catalogue(status=status) == []
    assert (
        catalogue(status={**status, "expect": {"mode": "on"}, "within_s": 30}, on={"url": URL, "form": {"a": 1}}) == []
    )
    for toggle in (
        {"status": status, "on": {"url": URL, "form": {"a": 1}}},
        {"status": status, "on": {"url": URL}},
        {"status": status, "on": {"url": URL, "json": {}}},
        {"status": {**status, "expect": "on"}},
        {"status": {**status, "expect": {}}},
    ):
        assert catalogue(**toggle) == [
            "shop: maintenance.status.expect must be a mapping: what the status says after on"
        ]
    for within_s in ("soon", -1, 121):
        assert "within_s must be a number of seconds" in catalogue(status={**status, "within_s": within_s})[0]
    assert "unknown key maintenance.on.expect" in catalogue(on={"url": URL, "expect": {}})[0]


@pytest.mark.parametrize("named", ["User-Agent", "user-agent"])
def test_a_request_says_that_it_is_ours_unless_the_catalogue_says_otherwise(named: str) -> None:
    assert _http_request.content({"url": "http://h/"})[1] == {"User-Agent": "incidentctl"}
    assert _http_request.content({"url": "http://h/", "headers": {named: "probe"}})[1] == {named: "probe"}
