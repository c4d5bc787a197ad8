"""The reader: a process of its own that waits for so many results and tells when the last one came."""

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from benchmarks.processes import Child, python
from benchmarks.task import Task

_ID = re.compile(rb'"(?:correlation_id|source_event_id)":\s*"([0-9a-f-]{36})"')
_OK = re.compile(rb'"status":\s*"success"')
_POLL_S = 0.1
_BATCH = 1000
_COUNT_EACH_S = 0.05


class Polled(Protocol):
    """What of a confluent-kafka consumer is used."""

    def poll(self, timeout: float) -> Message | None: ...
    def consume(self, num_messages: int, timeout: float) -> list[Message]: ...


def next_values(consumer: Polled) -> list[bytes]:
    """The values that are there, waiting a moment for the first and for no other. Raises `KafkaException`
    for an error after which nothing can come.
    """
    first = consumer.poll(_POLL_S)
    if first is None:
        return []
    values = []
    for message in (first, *consumer.consume(_BATCH - 1, 0)):
        error = message.error()
        if error is None:
            values.append(message.value() or b"")
        elif error.fatal():
            raise KafkaException(error)
    return values


class CountFile:
    """A file that tells how many have come. A write for each batch would take the machine from the rest."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._written = 0
        self._written_at = clock() - _COUNT_EACH_S

    def tell(self, count: int) -> None:
        """Write it if it is news, at most every 50 ms; what came in between is told by a later call."""
        now = self._clock()
        if count == self._written or now - self._written_at < _COUNT_EACH_S:
            return
        new = self._path.with_suffix(".counted")
        new.write_text(str(count))
        new.replace(self._path)
        self._written, self._written_at = count, now


def read(task: Task, wanted: int, out: Path, *, ok_needed: bool) -> None:
    """Write `{"arrivals": {id: seconds}, "others": n}` once so many messages have come: when each distinct
    result became visible, by the monotonic clock.
    """
    consumer = Consumer(
        {"bootstrap.servers": task.servers, "group.id": "reader", "enable.auto.commit": False}
    )
    partitions = consumer.list_topics(task.results, timeout=10).topics[task.results].partitions
    consumer.assign([TopicPartition(task.results, number, 0) for number in partitions])
    out.with_suffix(".ready").touch()
    arrivals: list[float] = []
    values: list[bytes] = []
    counted = CountFile(out.with_suffix(".count"))
    while len(values) < wanted:
        batch = next_values(consumer)
        now = time.monotonic()
        arrivals += [now] * len(batch)
        values += batch
        counted.tell(len(values))
    seen: dict[str, float] = {}
    for at, value in zip(arrivals, values, strict=True):
        found = _ID.search(value)
        if found and (not ok_needed or _OK.search(value)):
            seen.setdefault(found[1].decode(), at)
    facts = {"arrivals": seen, "others": len(values) - len(seen)}
    new = out.with_suffix(".new")
    new.write_text(json.dumps(facts))
    new.replace(out)


class Reader:
    """The reader's handle, for so many messages. Start it before the contestant."""

    def __init__(self, task: Task, wanted: int, *, ok_needed: bool = True) -> None:
        self._out = task.path / "reader.json"
        program = [python(), "-m", "benchmarks.reader", task.to_json(), str(wanted), str(self._out)]
        self.child = Child([*program, str(int(ok_needed))], task.path / "reader.log")
        while not self._out.with_suffix(".ready").exists():
            self.child.check()
            time.sleep(0.01)

    @property
    def result(self) -> dict[str, Any] | None:
        """What `read` wrote; None until all have come."""
        if not self._out.exists():
            self.child.check()
            return None
        facts: dict[str, Any] = json.loads(self._out.read_text())
        return facts

    @property
    def count(self) -> int:
        """How many have come so far."""
        path = self._out.with_suffix(".count")
        return int(path.read_text()) if path.exists() else 0


if __name__ == "__main__":
    read(Task.from_arguments(), int(sys.argv[2]), Path(sys.argv[3]), ok_needed=sys.argv[4] == "1")
