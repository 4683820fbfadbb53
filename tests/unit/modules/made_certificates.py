"""Certificates as OpenSSL makes them, and a server that shows one."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def make(folder: Path, *words: str, days: int = 10, subject: str = "/O=Shop/CN=shop.example") -> Path:
    """Make a certificate and its key in one file."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-batch"]
    argv += ["-keyout", str(key), "-out", str(certificate), "-subj", subject, "-days", str(days), *words]
    subprocess.run(argv, check=True, capture_output=True)
    certificate.write_bytes(key.read_bytes() + certificate.read_bytes())
    return certificate


@contextmanager
def serving(certificate: Path) -> Iterator[int]:
    """Give the port of a TLS server on loopback that answers one connection after the other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)

        def answer() -> None:
            connection, _peer = listening.accept()
            # Who has seen the certificate may close before the server has said its last word.
            with suppress(OSError), connection, context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(1)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(10)


def expired(folder: Path) -> Path:
    """Make a certificate that has expired a day ago, and its key, in one file."""
    certificate = make(folder)
    request, key = folder / "request", folder / "key.pem"
    asked = ["openssl", "req", "-new", "-key", str(key), "-out", str(request), "-subj", "/CN=shop.example", "-batch"]
    signed = ["openssl", "x509", "-req", "-in", str(request), "-signkey", str(key), "-days", "-1"]
    for argv in (asked, [*signed, "-out", str(certificate)]):
        subprocess.run(argv, check=True, capture_output=True)
    certificate.write_bytes(key.read_bytes() + certificate.read_bytes())
    return certificate
