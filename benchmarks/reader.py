"""The reader: a process of its own that waits for so many results and tells when the last one came."""

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from benchmarks.processes import Child, python
from benchmarks.task import Task

_ID = re.compile(rb'"(?:correlation_id|source_event_id)":\s*"([0-9a-f-]{36})"')
_OK = re.compile(rb'"status":\s*"success"')
_POLL_S = 0.1


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
    while len(values) < wanted:
        batch = consumer.consume(1000, _POLL_S)
        now = time.monotonic()
        arrivals += [now] * len(batch)
        values += [message.value() or b"" for message in batch]
        out.with_suffix(".count").write_text(str(len(values)))
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
        text = path.read_text() if path.exists() else ""
        return int(text or 0)


if __name__ == "__main__":
    read(Task.from_arguments(), int(sys.argv[2]), Path(sys.argv[3]), ok_needed=sys.argv[4] == "1")
