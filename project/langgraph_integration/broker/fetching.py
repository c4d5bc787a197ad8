"""Fetching: aiokafka's `getmany`, with what it leaves undone where it fails."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    CorruptRecordException,
    GroupAuthorizationFailedError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from langgraph_integration.broker.assignment import Assignment
from langgraph_integration.broker.fetch_count import balanced
from langgraph_integration.broker.handed_out import HandedOut
from langgraph_integration.broker.header_names import names_are_unreadable, read_leniently
from langgraph_integration.broker.out_of_range import OutOfRange
from langgraph_integration.broker.start_policy import StartPolicy
from workflow_events.errors import BrokerUnavailable

_PATIENCE_S = 1.0  # beyond what the call itself was told to wait

Batches = Mapping[TopicPartition, Sequence[Any]]


class Fetching:
    """Takes the records of one client, on the Kafka loop; one call at a time."""

    def __init__(self, client: AIOKafkaConsumer, assignment: Assignment, policy: StartPolicy) -> None:
        self._client = client
        self._assignment = assignment
        self._handed_out = HandedOut(policy.starts)
        self._out_of_range = OutOfRange(policy.starts)
        self._call: asyncio.Task[Batches | None] | None = None
        self._began_at = 0.0
        self._generation = assignment.generation

    async def get(self, timeout_ms: int, max_records: int) -> Batches | None:
        """What has come by partition. None where the client is not ready: a start was still unknown to it, or
        it waits for the group's next assignment, which it does without a limit when no broker answers.
        """
        if self._call is None:
            self._began_at = time.monotonic()
            self._call = asyncio.create_task(self._get(timeout_ms, max_records), name="getmany")
            # whoever asked may be gone when it fails
            self._call.add_done_callback(lambda done: done.cancelled() or done.exception())
        # left to itself, and asked for again by the next call: it does not bear to be cancelled
        await asyncio.wait({self._call}, timeout=timeout_ms / 1000 + _PATIENCE_S)
        if not self._call.done():
            return None
        call, self._call = self._call, None
        batches = call.result()
        # taken under an assignment that is over, they come again
        return batches if self._generation == self._assignment.generation else {}

    async def keep_alive(self) -> None:
        """Count as polling, with everything paused. Raises what an earlier fetch has met."""
        if self._call is None or self._call.done():
            await self._get(0, None)

    @property
    def waiting_s(self) -> float:
        """For how long the call under way has lasted; 0 if there is none."""
        return 0.0 if self._call is None or self._call.done() else time.monotonic() - self._began_at

    async def _get(self, timeout_ms: int, max_records: int | None) -> Batches | None:
        try:
            batches = await self._getmany(timeout_ms, max_records)
        except NoOffsetForPartitionError:
            # raised by the fetcher's head start; the start policy has sought by now
            return None
        except OffsetOutOfRangeError as error:
            self._out_of_range.note(error)
            await self._out_of_range.refuse(self._client)
            return None
        except GroupAuthorizationFailedError:
            # the heartbeat has ended for good: aiokafka begins another one only when it joins
            self._client._coordinator.request_rejoin()  # noqa: SLF001 - there is no public way to ask for it
            raise
        except (UnicodeDecodeError, CorruptRecordException) as error:
            if not names_are_unreadable(error):
                raise
            batches = await self._get_leniently(error, max_records or 1)
        if max_records is not None:
            self._generation = self._assignment.generation
            self._handed_out.note(batches, self._generation)
        return batches

    async def _get_leniently(self, error: Exception, max_records: int) -> Batches:
        generation = self._assignment.generation
        batches = await read_leniently(
            self._client, lambda where: self._handed_out.next(where, generation), max_records
        )
        if self._assignment.generation != generation:
            # read under an assignment that is over
            return {}
        if not any(batches.values()):
            raise BrokerUnavailable(f"a record's headers cannot be read: {error}") from error
        for where, records in batches.items():
            if records:
                self._client.seek(where, records[-1].offset + 1)
        return batches

    async def _getmany(self, timeout_ms: int, max_records: int | None) -> Batches:
        try:
            # its own timeout only: getmany does not bear to be cancelled
            with balanced(self._client):
                batches: Batches = await self._client.getmany(timeout_ms=timeout_ms, max_records=max_records)
        except Exception:
            # whatever it is: what the call had taken of other partitions is lost with it
            await self._handed_out.go_back(self._client, self._assignment.generation)
            raise
        return batches

    async def refuse_out_of_range(self) -> None:
        """Raise `BrokerUnavailable` where a position of ours names no record of the topic."""
        await self._out_of_range.refuse(self._client)
