"""Addresses against real servers on this machine: connected to, and nothing said."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.small_service import free_port

from incidentctl.addresses import Server, attempt, why_not


@contextlib.contextmanager
def listening(context: ssl.SSLContext | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """Give the port of a server that keeps what it is sent until the other side hangs up."""
    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _peer = server.accept()
                with context.wrap_socket(connection, server_side=True) if context else connection as taken:
                    while part := taken.recv(1024):
                        got.append(part)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], got
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder: Path = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", *words, *names, "-keyout", key, "-out", certificate], capture_output=True, check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def test_a_server_that_listens_is_connected_to_and_told_nothing() -> None:
    with listening() as (port, got):
        assert attempt(f"json://127.0.0.1:{port}/secret").problem == ""
    assert got == []


def test_a_port_that_nothing_listens_at() -> None:
    assert attempt(f"http://127.0.0.1:{free_port()}/").problem == "Connection refused"


def test_a_name_that_nobody_knows() -> None:
    assert "not known" in why_not(Server("nobody.invalid", 80, tls=False))


def test_a_certificate_that_is_not_trusted(self_signed: ssl.SSLContext) -> None:
    with listening(self_signed) as (port, got):
        assert attempt(f"jsons://127.0.0.1:{port}/").problem.startswith("its certificate is not trusted: self")
    assert got == []


def test_a_certificate_that_the_address_says_not_to_check(self_signed: ssl.SSLContext) -> None:
    with listening(self_signed) as (port, got):
        assert attempt(f"jsons://127.0.0.1:{port}/?verify=no").problem == ""
    assert got == []


def test_a_server_that_speaks_no_tls() -> None:
    with listening() as (port, _got):
        assert attempt(f"https://127.0.0.1:{port}/").problem
