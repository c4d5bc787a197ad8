"""What `WORKFLOW_STATE_URL` may be."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import pytest

from langgraph_integration.store import open_store
from langgraph_integration.store.urls import MemoryUrl, PostgresUrl, SqliteUrl, StoreUrl, parse_url
from workflow_events.errors import ConfigurationError


@pytest.mark.parametrize(
    ("url", "store"),
    [
        (None, MemoryUrl()),
        ("memory:", MemoryUrl()),
        ("sqlite:state.db", SqliteUrl(Path("state.db"))),
        ("sqlite:/var/lib/state.db", SqliteUrl(Path("/var/lib/state.db"))),
        ("sqlite:///var/lib/state.db", SqliteUrl(Path("/var/lib/state.db"))),
        ("sqlite:/with%20space.db", SqliteUrl(Path("/with space.db"))),
        ("postgresql://me@host/db", PostgresUrl("postgresql://me@host/db")),
    ],
)
def test_stores_have_urls(url: str | None, store: StoreUrl) -> None:
    """Each kind in the forms people write it."""
    assert parse_url(url) == store


@pytest.mark.parametrize(
    "url", ["", "sqlite:", "sqlite://host/db", "redis://host", "/a/path.db", "mysql://u:secret@h"]
)
def test_anything_else_is_refused_with_what_is_accepted(url: str) -> None:
    """The error names the variable and the accepted forms, and gives no password away."""
    with pytest.raises(ConfigurationError, match="WORKFLOW_STATE_URL") as refused:
        parse_url(url)
    assert "postgresql://" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_password_is_not_shown() -> None:
    """Logging the parsed URL is safe."""
    assert "secret" not in repr(parse_url("postgresql://me:secret@host/db"))


async def test_a_missing_client_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL without psycopg says what to install."""
    for name in [name for name in sys.modules if "store.postgres" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"langgraph-kafka\[postgres\]"):
        async with open_store("postgresql://nobody@nowhere/x", owner="a", lease_time=timedelta(1)):
            pass
