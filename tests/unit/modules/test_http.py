"""One request over HTTP: what comes back is bounded, whatever the other side does, and the secret stays where it belongs."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _http, _line
from tests.certificates import Authority
from tests.small_service import endpoint, free_port

Behaviour = Callable[[socket.socket, threading.Event], None]
HEAD = b"HTTP/1.1 200 OK\r\n"


@contextlib.contextmanager
def served(behave: Behaviour, listening: socket.socket | None = None) -> Iterator[int]:
    """Let `behave` answer one connection on the port that is returned; the event ends it."""
    over = threading.Event()

    def serve(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            client, _address = server.accept()
            with client:
                behave(client, over)

    with listening or socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            over.set()
            server.close()
            thread.join()


def saying(*parts: bytes, then: bytes = b"") -> Behaviour:
    """Say the parts, then drip `then` for ever."""

    def behave(client: socket.socket, over: threading.Event) -> None:
        client.recv(65536)
        for part in parts:
            client.sendall(part)
        while then and not over.wait(0.02):
            client.sendall(then)

    return behave


def call(port: int, **more: Any) -> dict[str, Any]:
    return _http.call({"url": f"http://127.0.0.1:{port}/", "timeout_s": 20, **more})


def silent(client: socket.socket, over: threading.Event) -> None:
    client.recv(65536)
    over.wait()


@pytest.mark.parametrize(
    "behave",
    [
        saying(b"HTTP/1.1 2", then=b"0"),
        saying(HEAD, then=b"X-More: 1\r\n"),
        saying(HEAD + b"\r\n", then=b"."),
        saying(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", then=b"1\r\n.\r\n"),
        silent,
    ],
    ids=["status line", "headers", "body", "chunks", "silence"],
)
def test_an_answer_that_drips_for_ever_ends_in_time(behave: Behaviour) -> None:
    with served(behave) as port:
        started = time.monotonic()
        answer = call(port, timeout_s=0.5)
        took = time.monotonic() - started
    # A hundred headers are too many before the time is over.
    assert answer["error"] in ("no complete answer within 0.5 s", "what came back is not HTTP")
    assert (answer["status"], answer["sent"]) == (None, True)
    assert took < 60


def test_a_handshake_that_drips_for_ever_ends_in_time_and_nothing_was_sent() -> None:
    with served(saying(b"\x16\x03\x03\x40\x00", then=b"\x00")) as port:
        started = time.monotonic()
        answer = _http.call({"url": f"https://127.0.0.1:{port}/", "timeout_s": 0.5})
        took = time.monotonic() - started
    assert (answer["status"], answer["sent"]) == (None, False)
    assert took < 60


def test_what_was_given_up_before_it_was_sent_is_never_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    real, let_go = socket.socket.connect, threading.Event()

    class Late(socket.socket):
        def connect(self, address: Any) -> None:
            let_go.wait(10)
            real(self, address)

    monkeypatch.setattr(_line.socket, "socket", Late)  # a server that takes its time
    heard: list[bytes] = []
    with served(lambda client, _over: heard.append(client.recv(65536))) as port:
        answer = call(port, method="POST", timeout_s=0.1)
        let_go.set()
        deadline = time.monotonic() + 10
        while not heard and time.monotonic() < deadline:
            time.sleep(0.01)
    assert (answer["error"], answer["sent"]) == ("no complete answer within 0.1 s", False)
    assert heard == [b""]


def test_a_huge_answer_is_read_up_to_its_limit_and_says_so() -> None:
    with served(saying(HEAD + b"\r\n" + b"x" * 10_000_000)) as port:
        answer = call(port)
    assert (answer["status"], len(answer["body"]), answer["whole"]) == (200, _http.BODY_LIMIT, False)


def test_a_small_answer_that_unpacks_to_a_huge_one_is_bounded() -> None:
    packed = gzip.compress(b"x" * 50_000_000)
    head = HEAD + f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    with served(saying(head + packed)) as port:
        answer = call(port)
    assert (len(answer["body"]), answer["whole"]) == (_http.BODY_LIMIT, False)


def test_gzip_is_unpacked_and_what_only_says_so_is_no_answer() -> None:
    packed = gzip.compress(b'{"on": true}')
    with served(saying(HEAD + b"Content-Encoding: gzip\r\n\r\n" + packed)) as port:
        assert call(port)["body"] == '{"on": true}'
    with served(saying(HEAD + b"Content-Encoding: gzip\r\n\r\nplain")) as port:
        assert "not the gzip" in call(port)["error"]


def test_what_is_not_utf8_comes_back_as_text() -> None:
    with served(saying(HEAD + b"Content-Length: 3\r\n\r\na\xff\x00")) as port:
        assert call(port)["body"] == "a\ufffd\0"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"SSH-2.0-OpenSSH_9.2 \x1b[31m\r\n", "what came back is not HTTP"),
        (b"", "it closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\n" + b"X" * 70_000 + b"\r\n", "what came back has a line longer than 65536 bytes"),
    ],
)
def test_what_is_not_http_is_said_in_words_of_ours(said: bytes, told: str) -> None:
    with served(saying(said)) as port:
        assert call(port)["error"] == told


def test_nothing_there_is_told_and_nothing_was_sent() -> None:
    answer = call(free_port())
    assert (answer["status"], answer["error"], answer["sent"]) == (None, "Connection refused", False)
    nowhere = _http.call({"url": "http://nowhere.invalid/", "timeout_s": 20})
    assert (nowhere["status"], nowhere["sent"]) == (None, False)
    assert nowhere["error"]


def test_a_redirect_is_handed_back_and_the_secret_does_not_go_there(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("sesame")
    with endpoint(lambda *_: (302, "")) as elsewhere, endpoint(lambda *_: (302, "")) as app:
        app.url, here = elsewhere.url, app.url  # what Location names
        answer = _http.call({"url": here, "secret_ref": {"file": str(tmp_path / "token")}})
        assert (answer["status"], elsewhere.requests) == (302, [])
    assert _http.in_words(answer) == f"302 (a redirect to {elsewhere.url}/elsewhere is not followed)"


def test_no_proxy_of_the_environment_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with endpoint(lambda *_: (200, {})) as app:
        assert _http.call({"url": app.url})["status"] == 200


def test_an_ipv6_address_is_called() -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with served(saying(HEAD + b"Content-Length: 0\r\n\r\n"), server) as port:
        assert _http.call({"url": f"http://[::1]:{port}/x?y=1"})["status"] == 200


@pytest.mark.parametrize(
    ("more", "method", "kind", "body"),
    [
        ({}, "GET", None, None),
        ({"json": {"enabled": True}}, "POST", "application/json", {"enabled": True}),
        ({"json": None}, "POST", "application/json", None),
        ({"form": {"a b": "ü&", "on": True, "n": 1}}, "POST", "application/x-www-form-urlencoded", "a+b=%C3%BC%26&on=true&n=1"),
        ({"body": "on ü\n"}, "POST", "text/plain; charset=utf-8", "on ü\n"),
        ({"body": "<on/>", "headers": {"content-type": "text/xml"}, "method": "PUT"}, "PUT", "text/xml", "<on/>"),
        ({"method": "DELETE"}, "DELETE", None, None),
    ],
)  # fmt: skip
def test_each_kind_of_body_goes_out_as_what_it_is(
    more: dict[str, Any], method: str, kind: str | None, body: Any
) -> None:
    with endpoint(lambda *_: (200, "")) as app:
        assert _http.call({"url": f"{app.url}/x", **more})["status"] == 200
    assert app.requests[0][:3] == (method, "/x", body)
    assert {name.lower(): value for name, value in app.requests[0][3].items()}.get("content-type") == kind


@pytest.mark.parametrize(
    ("kept", "reference", "header", "value"),
    [
        ("Bearer s3same\n", {}, "Authorization", "Bearer s3same"),
        ("s3same", {"scheme": "bearer"}, "Authorization", "Bearer s3same"),
        ("s3same", {"header": "X-Api-Key"}, "X-Api-Key", "s3same"),
        ("s3same", {"scheme": "basic", "user": "ops"}, "Authorization", "Basic b3BzOnMzc2FtZQ=="),
        ("ops:s3same", {"scheme": "basic"}, "Authorization", "Basic b3BzOnMzc2FtZQ=="),
    ],
)
@pytest.mark.parametrize("place", ["file", "env"])
def test_a_secret_goes_out_as_its_scheme_says_and_is_hidden_where_it_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str, reference: dict[str, str], header: str, value: str, place: str
) -> None:  # fmt: skip
    (tmp_path / "secret").write_text(kept)
    (tmp_path / "link").symlink_to("secret")  # as a secret is often kept
    monkeypatch.setenv("SHOP_SECRET", kept)
    reference = {**reference, place: str(tmp_path / "link") if place == "file" else "SHOP_SECRET"}
    with endpoint(lambda *_: (403, f"no: {value} and {kept.strip()}")) as app:
        answer = _http.call({"url": app.url, "secret_ref": reference})
    assert app.requests[0][3][header] == value
    assert "s3same" not in json.dumps(answer)
    assert value.partition(" ")[2] == "" or value.partition(" ")[2] not in json.dumps(answer)
    assert answer["body"].count("***") >= 2


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        (None, "No such file or directory"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"hunter2\nhunter3", "not one line"),
        ("hunter2 \u20ac".encode(), "not one line that a header can hold"),
        (b"hunter2 \xff", "not UTF-8"),
        (b"hunter2 " + b"x" * 20_000, "longer than 16 KiB"),
        ("folder", "a folder"),
        ("fifo", "a FIFO"),
        ("circle", "link"),
    ],
)
def test_a_secret_that_cannot_be_used_is_said_and_not_shown(tmp_path: Path, kept: Any, told: str) -> None:
    path = tmp_path / "secret"
    if kept == "folder":
        path.mkdir()
    elif kept == "fifo":
        os.mkfifo(path)
    elif kept == "circle":
        path.symlink_to(path)
    elif kept is not None:
        path.write_bytes(kept)
    with pytest.raises(_http.SecretError, match=told) as caught:
        _http.call({"url": "http://127.0.0.1:9/", "secret_ref": {"file": str(path)}})
    assert "hunter" not in str(caught.value)


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_SECRET", raising=False)
    with pytest.raises(_http.SecretError, match="'SHOP_SECRET' is not set on this host"):
        _http.check({"secret_ref": {"env": "SHOP_SECRET"}})


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "authority")


def test_tls_is_verified_by_the_authority_that_is_named(authority: Authority) -> None:
    with endpoint(lambda *_: (200, {}), authority.vouch("IP:127.0.0.1").server()) as app:
        assert _http.call({"url": app.url, "ca_file": str(authority.file)})["status"] == 200
        unknown = _http.call({"url": app.url})
    assert (unknown["status"], unknown["sent"]) == (None, False)
    assert "its certificate is not trusted: unable to get local issuer certificate. Fix: name" in unknown["error"]
    assert len(app.requests) == 1


def test_one_that_vouches_for_itself_is_refused_unless_it_is_named_itself(authority: Authority) -> None:
    alone = authority.alone("IP:127.0.0.1")
    with endpoint(lambda *_: (200, {}), alone.server()) as app:
        refused = _http.call({"url": app.url})
        assert "its certificate is not trusted: self" in refused["error"]
        assert "ca_file" in refused["error"]
        assert _http.call({"url": app.url, "ca_file": str(authority.file)})["status"] is None
        assert _http.call({"url": app.url, "ca_file": str(alone.file)})["status"] == 200


def test_a_certificate_for_somebody_else_is_refused(authority: Authority) -> None:
    with endpoint(lambda *_: (200, {}), authority.vouch("DNS:shop.example").server()) as app:
        answer = _http.call({"url": app.url, "ca_file": str(authority.file)})
    assert "IP address mismatch, certificate is not valid for '127.0.0.1'" in answer["error"]
    assert "Fix" not in answer["error"]


@pytest.mark.parametrize(("kept", "told"), [(None, "No such file"), ("x", "holds no certificate in PEM")])
def test_an_authority_that_cannot_be_read_is_said(tmp_path: Path, kept: str | None, told: str) -> None:
    if kept:
        (tmp_path / "ca").write_text(kept)
    with pytest.raises(_http.SecretError, match=told):
        _http.check({"ca_file": str(tmp_path / "ca")})
    answer = _http.call({"url": "https://127.0.0.1:9/", "ca_file": str(tmp_path / "ca")})
    assert told in answer["error"]
    assert str(tmp_path / "ca") in answer["error"]


def test_http_and_https_taken_for_each_other_are_said(authority: Authority) -> None:
    with endpoint(lambda *_: (200, {})) as app:
        assert (
            _http.call({"url": app.url.replace("http:", "https:")})["error"] == "it does not speak TLS: is it http://?"
        )
    with endpoint(lambda *_: (200, {}), authority.vouch("IP:127.0.0.1").server()) as app:
        assert _http.call({"url": app.url.replace("https:", "http:"), "timeout_s": 2})["status"] is None


@pytest.mark.parametrize(
    ("wanted", "status", "fits"),
    [({}, 204, True), ({}, 302, False), ({}, None, False), ({"expect_status": 302}, 302, True),
     ({"expect_status": [200, "409"]}, 409, True), ({"expect_status": [200, 409]}, 201, False)],
)  # fmt: skip
def test_which_status_is_accepted(wanted: dict[str, Any], status: int | None, fits: bool) -> None:
    assert _http.accepted(wanted, {"status": status}) is fits


def test_an_answer_in_words_is_one_plain_line() -> None:
    assert _http.in_words({"status": 500, "body": "<b>\x1b[31m\n\nred" + "x" * 500})[:20] == "500 <b>?[31m redxxxx"
    assert _http.in_words({"status": 401, "body": ""}) == "401 (it wants a login: see secret_ref)"
