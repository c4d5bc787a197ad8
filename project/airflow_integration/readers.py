"""One reader of results for everybody who waits in this process."""

import asyncio
import gc
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from airflow_integration.hooks import WorkflowKafkaHook
from workflow_events.exchange import ResultExchange

log = logging.getLogger(__name__)

_IDLE: Final = 60.0
"""Seconds a reader without waits is kept, so that a lull does not cost a new connection."""

_Key = tuple[str | None, str]


@dataclass(slots=True, eq=False)
class _Reader:
    exchange: ResultExchange
    users: int = 0
    closing: threading.Timer | None = None


class SharedReaders:
    """`ResultExchange`s by connection and topic, for any number of event loops."""

    def __init__(self, idle: float = _IDLE) -> None:
        self._idle = idle
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._readers: dict[_Key, _Reader] = {}

    @asynccontextmanager
    async def borrow(self, conn_id: str | None, topic: str) -> AsyncIterator[ResultExchange]:
        """The exchange for a topic, shared with all who borrow it at the same time."""
        key = (conn_id, topic)
        reader = self._join(key)
        if reader is None:
            reader = await asyncio.to_thread(self._open, key)
        try:
            yield reader.exchange
        finally:
            self._leave(key, reader)

    def _join(self, key: _Key) -> _Reader | None:
        with self._lock:
            reader = self._readers.get(key)
            if reader is not None:
                reader.users += 1
                if reader.closing is not None:
                    reader.closing.cancel()
                    reader.closing = None
            return reader

    def _open(self, key: _Key) -> _Reader:
        conn_id, topic = key
        # Looking up a connection in a triggerer needs its event loop, which takes the other lock.
        with self._opening:
            found = self._join(key)
            if found is not None:
                return found
            _freeze_what_is_loaded()
            exchange = ResultExchange(settings=WorkflowKafkaHook(conn_id).settings(), topic=topic)
            with self._lock:
                reader = self._readers[key] = _Reader(exchange, users=1)
        log.info("reading results", extra={"action": "reader_opened", "topic": topic})
        return reader

    def _leave(self, key: _Key, reader: _Reader) -> None:
        with self._lock:
            reader.users -= 1
            if reader.users == 0:
                reader.closing = threading.Timer(self._idle, self._close_if_idle, (key, reader))
                reader.closing.daemon = True
                reader.closing.start()

    def _close_if_idle(self, key: _Key, reader: _Reader) -> None:
        with self._lock:
            if reader.users or self._readers.get(key) is not reader:
                return
            del self._readers[key]
        reader.exchange.close()
        log.info("stopped reading results", extra={"action": "reader_closed", "topic": key[1]})


def _freeze_what_is_loaded() -> None:
    """Once in a process, before the first of thousands of waits: leave what is there to the process's end.

    Each full garbage collection stops all threads while it visits every object, of which Airflow's modules
    have 200,000: half a second in which no result is handed over. Airflow does the same for its workers.
    """
    if not gc.get_freeze_count():
        gc.freeze()


shared_readers: Final = SharedReaders()
"""This process's."""
