"""aiokafka's count of the `getmany` calls under way, put right after one that failed."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka import AIOKafkaConsumer


@contextmanager
def balanced(client: AIOKafkaConsumer) -> Iterator[None]:
    """Around a `getmany`: one that raises counts as ended, and as a sign of life like any other.

    aiokafka lowers its count only after a success, and a member with a call under way is never idle: after
    one failure `max_poll_interval_ms` would be off for the life of the process.
    """
    subscription = client._subscription  # noqa: SLF001 - the count has no other way in
    before = subscription._fetch_count  # noqa: SLF001
    try:
        yield
    finally:
        if subscription._fetch_count > before:  # noqa: SLF001
            subscription._fetch_count = before  # noqa: SLF001
            with subscription.fetch_context():
                # notes the time
                pass
