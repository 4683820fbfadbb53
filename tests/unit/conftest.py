"""A record for a test, in each kind of database that it may be kept in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a record in SQLite is kept."""
    return tmp_path / "state" / "record.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, path: Path) -> Iterator[str]:
    """The URL of an empty record."""
    if request.param == "sqlite":
        yield f"sqlite:///{path}"
        return
    import sqlalchemy as sa  # noqa: PLC0415 - what runs on hosts is tested where there is none

    found = os.environ.get("INCIDENTCTL_TEST_POSTGRESQL_URL", "")
    if not found:
        pytest.skip("INCIDENTCTL_TEST_POSTGRESQL_URL names no database to try it on")
    engine = sa.create_engine(found)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS event, incident"))
    engine.dispose()
    yield found
