"""The reader: when a result counts as seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benchmarks.reader import CountFile, next_values
from confluent_kafka import KafkaError, KafkaException


class _Record:
    def __init__(self, value: bytes | None, error: KafkaError | None = None) -> None:
        self._value, self._error = value, error

    def value(self) -> bytes | None:
        return self._value

    def error(self) -> KafkaError | None:
        return self._error


class _Consumer:
    """Has these records; remembers how long it was to wait for those after the first."""

    def __init__(self, *records: _Record) -> None:
        self.records: list[Any] = list(records)
        self.waits: list[float] = []

    def poll(self, timeout: float) -> Any:
        return self.records.pop(0) if self.records else None

    def consume(self, num_messages: int, timeout: float) -> list[Any]:
        self.waits.append(timeout)
        taken, self.records = self.records[:num_messages], self.records[num_messages:]
        return taken


def test_a_result_is_seen_without_waiting_for_others() -> None:
    """The wait is for the first one; of the rest it takes what is there."""
    consumer = _Consumer(_Record(b"1"), _Record(b"2"))

    assert next_values(consumer) == [b"1", b"2"]
    assert consumer.waits == [0]


def test_nothing_there_is_no_error() -> None:
    """The reader asks again."""
    assert next_values(_Consumer()) == []


def test_errors_are_no_results() -> None:
    """A broker that was away for a moment is no message."""
    lost = KafkaError(KafkaError._TRANSPORT)

    assert next_values(_Consumer(_Record(b"reason", lost), _Record(b"1"))) == [b"1"]


def test_an_error_after_which_nothing_comes_is_raised() -> None:
    """Else the reader would wait for ever."""
    fenced = KafkaError(KafkaError._FATAL, fatal=True)

    with pytest.raises(KafkaException):
        next_values(_Consumer(_Record(None, fenced)))


def test_the_count_is_written_at_most_every_50_ms(tmp_path: Path) -> None:
    """What came in between is told by a later call, also without news."""
    now = [0.0]
    path = tmp_path / "reader.count"
    file = CountFile(path, clock=lambda: now[0])
    written = []
    for at, count in ((0.0, 1), (0.01, 2), (0.049, 3), (0.06, 3), (0.12, 3)):
        now[0] = at
        file.tell(count)
        written.append(path.read_text())

    assert written == ["1", "1", "1", "3", "3"]
