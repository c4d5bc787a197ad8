"""Silence: how long the brokers have answered no fetch, which aiokafka does not tell by itself."""

import time
from collections.abc import Callable, Iterable

_GAP_S = 5.0


class Silence:
    """Watches aiokafka's `last_poll_timestamp`, the time of the last answer to a fetch of a partition.

    While a broker is away `getmany` returns nothing and raises nothing, as if no event had come.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._newest_ms: int | None = None
        self._since = self._asked_at = clock()

    def seconds(self, answered_ms: Iterable[int | None]) -> float:
        """Seconds without a new answer; counted from now where nobody asked for a while.

        `answered_ms` are the times of the partitions that are being fetched; none of them: no silence.
        """
        known = list(answered_ms)
        newest, now = max((each for each in known if each), default=0), self._clock()
        if not known or newest != self._newest_ms or now - self._asked_at > _GAP_S:
            self._newest_ms, self._since = newest, now
        self._asked_at = now
        return now - self._since
