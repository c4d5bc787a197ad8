"""Identities: time-ordered event ids, and ids that come out the same whenever a verdict is repeated."""

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import NAMESPACE_URL, UUID, uuid5

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NS_PER_MS = 1_000_000
_lock = threading.Lock()
_last_tick = 0


def new_event_id() -> UUID:
    """A UUID of version 7 (RFC 9562): sorts by time, also within one millisecond of this process."""
    global _last_tick
    milliseconds, rest = divmod(time.time_ns(), _NS_PER_MS)
    # Twelve bits of the millisecond's fraction follow the time (RFC 9562, 6.2, method 3).
    tick = milliseconds << 12 | (rest << 12) // _NS_PER_MS
    with _lock:
        tick = _last_tick = max(tick, _last_tick + 1)
    random = int.from_bytes(os.urandom(8)) & (1 << 62) - 1
    return UUID(int=(tick >> 12) << 80 | 0x7 << 76 | (tick & 0xFFF) << 64 | 0b10 << 62 | random)


@lru_cache(maxsize=8192)
def id_text(event_id: UUID) -> str:
    """`str(event_id)`, which Python puts together anew each time; a run asks for it a dozen times."""
    return str(event_id)


def event_time(event_id: UUID) -> datetime | None:
    """When a version 7 id was made, to the millisecond (UTC). None for any other id."""
    if event_id.version != 7:
        return None
    try:
        return _EPOCH + timedelta(milliseconds=event_id.int >> 80)
    except OverflowError:
        return None


def result_id(event_id: UUID, attempt: int, status: str) -> UUID:
    """The id of a verdict: one per event, attempt and status, however often it is published."""
    return uuid5(event_id, f"{attempt}/{status}")


def dead_letter_id(event_id: UUID, attempt: int) -> UUID:
    """The `dlq_id` of an event's attempt."""
    return uuid5(event_id, f"{attempt}/dead-letter")


def dead_letter_id_at(topic: str, partition: int, offset: int) -> UUID:
    """The `dlq_id` of a record that has no event id of its own, or one that is in conflict."""
    return uuid5(NAMESPACE_URL, f"kafka://{topic}/{partition}/{offset}")
