"""Certificates are read as OpenSSL makes them, trusted or not, and nothing that is none is taken for one."""

from __future__ import annotations

import random
import shutil
import socket
import ssl
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils import _certificates
from tests.unit.modules.made_certificates import expired, make, serving

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
NAMES = "subjectAltName=DNS:shop.example,DNS:*.shop.example,IP:192.0.2.7,IP:2001:db8::7"


def test_what_it_says_of_its_time_and_names_is_read(tmp_path: Path) -> None:
    now = datetime.now(timezone.utc)
    found = _certificates.first_of(make(tmp_path, "-addext", NAMES).read_bytes())
    assert found is not None
    assert found.subject == "shop.example"
    assert found.names == ("shop.example", "*.shop.example", "192.0.2.7", "2001:db8::7")
    assert abs(_certificates.days_left(found, now) - 10) < 0.01
    assert abs(found.not_before - now) < timedelta(minutes=10)


def test_one_beyond_2049_has_its_time_in_the_longer_form(tmp_path: Path) -> None:
    found = _certificates.first_of(make(tmp_path, days=40 * 365).read_bytes())
    assert found is not None
    assert found.not_after.year >= 2060
    assert found.names == ()


def test_name_is_compared_as_browsers_do(tmp_path: Path) -> None:
    found = _certificates.first_of(make(tmp_path, "-addext", NAMES).read_bytes())
    assert found is not None
    for host in ("shop.example", "SHOP.example.", "www.shop.example", "192.0.2.7", "2001:db8::7"):
        assert _certificates.is_for(found, host), host
    for host in ("example", "a.b.shop.example", "shop.example.org", "192.0.2.8"):
        assert not _certificates.is_for(found, host), host


def test_expired_one_of_a_server_is_read_all_the_same(tmp_path: Path) -> None:
    certificate = expired(tmp_path)
    with serving(certificate) as port:
        found = _certificates.of_server("127.0.0.1", port)
    assert _certificates.days_left(found, datetime.now(timezone.utc)) < 0
    assert found.subject == "shop.example"


def test_server_that_speaks_no_tls_or_says_nothing_is_an_error_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, pytest.raises(OSError):  # noqa: PT011 - its words differ
        _certificates.of_server("127.0.0.1", listening.getsockname()[1], timeout_s=0.2)


def test_what_is_damaged_is_told_and_never_a_traceback(tmp_path: Path) -> None:
    pem = make(tmp_path, "-addext", NAMES).read_text()
    encoded = ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN CERT") :])
    draw = random.Random(7)  # noqa: S311 - the same damage in each run
    read = 0
    for _time in range(3000):
        damaged = bytearray(encoded[: draw.randrange(1, len(encoded) + 1)])
        for _place in range(draw.randrange(3)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        try:
            _certificates.read(bytes(damaged))
            read += 1
        except _certificates.CertificateError:
            continue
    assert read < 3000
    assert _certificates.first_of(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n") is None
    for text in (b"AAA", b"AAAA", b""):
        with pytest.raises(_certificates.CertificateError):
            _certificates.first_of(b"-----BEGIN CERTIFICATE-----\n" + text + b"\n-----END CERTIFICATE-----\n")
