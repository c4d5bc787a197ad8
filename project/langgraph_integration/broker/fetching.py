"""Fetching: aiokafka's `getmany`, with what it leaves undone where it fails."""

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

Batches = Mapping[TopicPartition, Sequence[Any]]


class Fetching:
    """Takes the records of one client, on the Kafka loop; one call at a time."""

    def __init__(self, client: AIOKafkaConsumer, assignment: Assignment, policy: StartPolicy) -> None:
        self._client = client
        self._assignment = assignment
        self._handed_out = HandedOut(policy.starts)
        self._out_of_range = OutOfRange(policy.starts)

    async def get(self, timeout_ms: int, max_records: int | None = None) -> Batches | None:
        """What has come by partition. None where a start was still unknown to the fetcher."""
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
        self._handed_out.note(batches, self._assignment.generation)
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
