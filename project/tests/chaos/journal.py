"""Who asks: publishes the planned records, and writes down, for good, what the broker has acknowledged."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import Message, Producer

from tests.chaos.recipes import Planned


class Journal:
    """Acknowledged records, one JSON object a line, synced to the disk before they count."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self.lines: list[dict[str, Any]] = []

    def add(self, lines: list[dict[str, Any]]) -> None:
        os.write(self._file, b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        os.fsync(self._file)
        self.lines += lines


class Publisher(threading.Thread):
    """Publishes as fast as `room` allows, until told to end."""

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        records: Iterator[Planned],
        journal: Journal,
        *,
        room: Callable[[], int],
        most: int,
    ) -> None:
        super().__init__(name="publisher", daemon=True)
        self._topic = topic
        self._records = records
        self._journal = journal
        self._room = room
        self._most = most
        self._acknowledged: list[dict[str, Any]] = []
        self._failed: list[str] = []
        self._done = threading.Event()
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "delivery.timeout.ms": 120_000,
                "linger.ms": 5,
                "log_level": 0,
            }
        )
        self.asked = 0

    def run(self) -> None:
        while not self._done.is_set() and self.asked < self._most:
            for _ in range(min(self._room(), 50)):
                self._publish(next(self._records))
            self._producer.poll(0.05)
            self._write_down()
        self._producer.flush(130)
        self._write_down()

    def end(self) -> None:
        """Publish no more; returns when everything is acknowledged."""
        self._done.set()
        self.join(140)
        assert not self._failed, f"the broker refused records for good: {self._failed[:3]}"

    def _publish(self, planned: Planned) -> None:
        self.asked += planned.role == "first"

        def delivered(error: object, message: Message) -> None:
            if error is not None:
                self._failed.append(str(error))
                return
            self._acknowledged.append(
                {
                    "event": str(planned.event_id) if planned.event_id else None,
                    "role": planned.role,
                    "kind": planned.kind,
                    "attempt": planned.attempt,
                    "partition": message.partition(),
                    "offset": message.offset(),
                    "time": time.time(),
                }
            )

        self._producer.produce(
            self._topic,
            value=planned.value,
            key=planned.key,
            headers=list(planned.headers),
            on_delivery=delivered,
        )

    def _write_down(self) -> None:
        if self._acknowledged:
            lines, self._acknowledged = self._acknowledged, []
            self._journal.add(lines)
