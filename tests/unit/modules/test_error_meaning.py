"""What an error says, and what it names."""

from __future__ import annotations

import pytest
from ansible_collections.incidentctl.response.plugins.module_utils._error_meaning import meaning, names
from hypothesis import given
from hypothesis import strategies as st

# As operating systems, databases, languages and their libraries say it.
SAID = [
    ("no_space", "OSError: [Errno 28] No space left on device: '/srv/cart/x.db'"),
    ("no_space", "sqlite3.OperationalError: database or disk is full"),
    ("no_space", "write ENOSPC"),
    ("descriptors", "accept4: too many open files"),
    ("too_many_connections", "FATAL: sorry, too many clients already"),
    ("too_many_connections", "[alert] 1024 worker_connections are not enough"),
    ("too_many_connections", "FATAL: remaining connection slots are reserved for superusers"),
    ("too_many_connections", "QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00"),
    ("too_many_connections", "HikariPool-1 - Connection is not available, request timed out after 30000ms."),
    ("schema", "sqlite3.OperationalError: no such column: total"),
    ("schema", 'relation "orders" does not exist'),
    ("schema", "(1054, \"Unknown column 'total' in 'field list'\")"),
    ("certificate", "certificate verify failed: certificate has expired (_ssl.c:992)"),
    ("certificate", "tls: failed to verify certificate: x509: certificate has expired or is not yet valid"),
    ("name_resolution", "getaddrinfo ENOTFOUND payments.example.org"),
    ("name_resolution", "dial tcp: lookup payments.example on 10.0.0.1:53: no such host"),
    ("name_resolution", "[Errno -3] Temporary failure in name resolution"),
    ("memory", "java.lang.OutOfMemoryError: Java heap space"),
    ("memory", "Main process exited, code=killed, status=9/KILL"),
    ("permission", "open /etc/cart/key.pem: permission denied"),
    ("permission", "sqlite3.OperationalError: attempt to write a readonly database"),
    ("login", 'FATAL: password authentication failed for user "cart"'),
    ("lock", "sqlite3.OperationalError: database is locked"),
    ("connection_refused", "connect ECONNREFUSED 10.0.0.9:5432"),
    ("timeout", "read tcp 10.0.0.1:33104->10.0.0.2:5432: i/o timeout"),
    ("timeout", "context deadline exceeded"),
    ("configuration", "KeyError: 'DATABASE_URL'"),
    ("configuration", "nginx: [emerg] unknown directive \"prox_pass\" in /etc/nginx/nginx.conf:12"),
    ("configuration", "could not parse configuration file /etc/cart/app.ini"),
]  # fmt: skip


@pytest.mark.parametrize(("word", "said"), SAID)
def test_an_error_is_understood(word: str, said: str) -> None:
    assert meaning(said) == word


@pytest.mark.parametrize("said", ["user bob is locked", "KeyError: 'total'", "order 17 failed", "", "full refund"])
def test_what_says_nothing_of_the_kind_has_no_meaning(said: str) -> None:
    assert meaning(said) is None


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("No space left on device: '/srv/cart/x.db'", {"path": "/srv/cart/x.db"}),
        ("connect ECONNREFUSED 10.0.0.9:5432", {"host": "10.0.0.9", "port": "5432"}),
        ("read tcp 10.0.0.1:33104->10.0.0.2:5432: i/o timeout", {"host": "10.0.0.2", "port": "5432"}),
        ("connection to server at \"db1\" (10.2.3.4), port 5432 failed: Connection refused", {"host": "db1", "port": "5432"}),
        ("getaddrinfo ENOTFOUND payments.example.org", {"host": "payments.example.org"}),
        ("lookup payments.example on 10.0.0.1: no such host", {"host": "payments.example"}),
        ("no such column: orders.total", {"column": "orders.total"}),
        ("order 17 failed at 12:30", {}),
    ],
)  # fmt: skip
def test_what_an_error_names_is_taken_out_of_it(said: str, named: dict[str, str]) -> None:
    assert names(said) == named


@given(st.text(max_size=4000))
def test_whatever_a_log_says_it_is_a_word_of_the_list_or_none_and_bounded(said: str) -> None:
    assert meaning(said) in {None, *(word for word, _said in SAID)}
    assert all(len(text) <= 200 for text in names(said).values())


@pytest.mark.parametrize(
    "said", ["/a" * 100_000, "column " * 20_000, "config " * 20_000, "config" * 20_000, "a." * 100_000 + ":1"]
)
def test_a_text_that_is_made_to_take_long_does_not(said: str) -> None:
    meaning(said)
    names(said)
