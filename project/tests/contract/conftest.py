"""The databases every contract of the store is tested on."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from langgraph_integration.store import MemoryDatabase, Store, open_store

LONG = timedelta(minutes=5)


@dataclass
class Database:
    """One database, which several owners may open at once."""

    url: str
    memory: MemoryDatabase = field(default_factory=MemoryDatabase)

    def open(self, owner: str = "a", lease_time: timedelta = LONG) -> AbstractAsyncContextManager[Store]:
        return open_store(self.url, owner=owner, lease_time=lease_time, memory=self.memory)


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """An empty database of the test's own, of each kind."""
    if request.param == "postgres":
        return Database(request.getfixturevalue("postgres_dsn"))
    return Database("memory:" if request.param == "memory" else f"sqlite:{tmp_path / 'state.db'}")
