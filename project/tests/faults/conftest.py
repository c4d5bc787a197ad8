"""A quick Apache Kafka for all fault tests of a process, and one of their own for those that hurt it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kafka_devbroker import Broker, running_broker
from tests.faults.bench import QUICK_BROKER, Bench, Home


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Where workers come from."""
    place = Home(tmp_path_factory.mktemp("home"))
    yield place
    place.close()


@pytest.fixture(scope="session")
def quick_broker() -> Iterator[Broker]:
    """An Apache Kafka that allows sessions of two seconds. Never kill it."""
    with running_broker("apache", properties=QUICK_BROKER) as broker:
        yield broker


@pytest.fixture
def own_broker() -> Iterator[Broker]:
    """An Apache Kafka of the test's own."""
    with running_broker("apache", properties=QUICK_BROKER) as broker:
        yield broker


@pytest.fixture
def make_bench(request: pytest.FixtureRequest, home: Home, tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """`make_bench(broker, partitions=..., state_url=...)`; its workers end with the test."""
    if "own_broker" in request.fixturenames:
        # begun first, so that it ends last: readers take 45 s to leave a broker that is gone
        request.getfixturevalue("own_broker")
    benches: list[Bench] = []

    def make(broker: Broker, **options: object) -> Bench:
        folder = tmp_path / f"bench-{len(benches)}"
        folder.mkdir()
        bench = Bench(home, broker, folder, **options)  # type: ignore[arg-type]  # passed through
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        bench.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def state_url(request: pytest.FixtureRequest) -> str | None:
    """Both databases, one after the other; `None` is the bench's own SQLite file."""
    return request.getfixturevalue("postgres_dsn") if request.param == "postgres" else None


@pytest.fixture
def bench(make_bench: Callable[..., Bench], quick_broker: Broker) -> Bench:
    """Three partitions, a SQLite file, and no worker yet."""
    return make_bench(quick_broker)
