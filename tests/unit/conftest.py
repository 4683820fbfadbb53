"""A record for a test, in each kind of database that it may be kept in."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.postgresql_server import BIN, Server
from tests.small_service import open_folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a record in SQLite is kept."""
    return tmp_path / "state" / "record.db"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a database in PostgreSQL: one that is named, else of a server that is started for these tests."""
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("psycopg is not here")
    if named := os.environ.get("INCIDENTCTL_TEST_POSTGRESQL_URL"):
        yield named
        return
    if BIN is None:
        pytest.skip("PostgreSQL is not here, and INCIDENTCTL_TEST_POSTGRESQL_URL names no database")
    with open_folder() as folder:
        server = Server(folder, auth="trust")
        yield f"postgresql+psycopg://{server.user}@/postgres?host={folder}&port={server.port}"
        server.end()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, path: Path) -> Iterator[str]:
    """The URL of an empty record."""
    if request.param == "sqlite":
        yield f"sqlite:///{path}"
        return
    import sqlalchemy as sa  # noqa: PLC0415 - what runs on hosts is tested where there is none

    found: str = request.getfixturevalue("postgresql")
    engine = sa.create_engine(found)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS event, incident"))
    engine.dispose()
    yield found
