"""How a run of the benchmarks is done: how often, how much, and where it speaks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.postgres import postgres_bin, running_server

_DURABLE = ("fsync=on", "synchronous_commit=on", "max_connections=200")


@dataclass(frozen=True, slots=True)
class Settings:
    """`pairs` repetitions; `scale` multiplies the number of events; `say` takes a line of progress."""

    pairs: int
    scale: float
    say: Callable[[str], None]

    @contextmanager
    def postgres(self) -> Iterator[str | None]:
        """The DSN of a server that does keep what it confirmed; None where there is no PostgreSQL."""
        if postgres_bin() is None:
            yield None
            return
        with running_server(_DURABLE) as server:
            yield server.dsn
