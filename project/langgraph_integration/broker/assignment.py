"""Assignment: places partitions when they come, and tells the pipeline before anything of them is read."""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from langgraph_integration.broker.start_policy import StartPolicy
from langgraph_integration.pipeline.delivery import Partition
from langgraph_integration.pipeline.ports import AssignmentListener
from workflow_events.errors import BrokerUnavailable

log = logging.getLogger(__name__)

_TELL_S = 5.0


class Assignment(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka's base class is untyped
    """The rebalance listener of one client, on the Kafka loop.

    `generation` changes with every assignment; records carry it, so that what was read before a
    rebalance cannot be mistaken for what is read after it.
    """

    def __init__(
        self,
        client: AIOKafkaConsumer,
        policy: StartPolicy,
        listener: AssignmentListener,
        home: asyncio.AbstractEventLoop,
        *,
        revoke_budget_s: float,
    ) -> None:
        self._client = client
        self._policy = policy
        self._listener = listener
        self._home = home
        self._revoke_budget_s = revoke_budget_s
        self._unplaced: list[Partition] = []
        self.generation = 0
        self.rebalancing = True
        """From the loss of the partitions until the new ones are placed: nothing is fetched meanwhile."""

        self.joined = asyncio.Event()
        """Set once the group has answered for the first time and the partitions are placed."""

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Called by the client before a rebalance takes the partitions; bounded by the budget."""
        self.generation += 1
        self.rebalancing = True
        self._unplaced = []
        if revoked:
            await self._tell(self._listener.partitions_revoked(_partitions(revoked)), self._revoke_budget_s)

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Called by the client after the rebalance, while no heartbeat is sent."""
        self._client.pause(*assigned)
        self._unplaced = _partitions(assigned)
        if not assigned:
            # that nothing came back is news, too: runs of what left end at their next super-step
            await self._tell(self._listener.partitions_assigned([], self.generation), _TELL_S)
        try:
            await self.place()
        except (KafkaError, OSError, BrokerUnavailable) as error:
            log.warning("partitions not placed yet: %s", error, extra={"action": "placing_postponed"})

    async def place(self) -> None:
        """Seek the new partitions and let them flow; raises aiokafka's errors and `BrokerUnavailable`,
        and may be called again.

        They are paused until the pipeline has been told: a record that came earlier would be refused as
        one of the old assignment, and its position would be behind us.
        """
        partitions = self._unplaced
        if partitions:
            await self._policy.place(self._client, partitions)
            if partitions is not self._unplaced:
                return
            self._unplaced = []
            self.generation += 1
            await self._tell(self._listener.partitions_assigned(partitions, self.generation), _TELL_S)
            ours = self._client.assignment()
            placed = {TopicPartition(each.topic, each.number) for each in partitions}
            self._client.resume(*(placed & ours))
        self.rebalancing = False
        self.joined.set()

    @property
    def placed(self) -> bool:
        """Whether nothing waits to be placed."""
        return not self._unplaced

    async def _tell(self, message: Coroutine[Any, Any, None], budget_s: float) -> None:
        """Run a listener's method on the pipeline's loop and wait for it within the budget."""
        future = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(message, self._home))
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        done, _ = await asyncio.wait({future}, timeout=budget_s)
        if not done:
            log.warning(
                "rebalance goes on without the pipeline's answer", extra={"action": "rebalance_overdue"}
            )


def _partitions(partitions: Sequence[TopicPartition]) -> list[Partition]:
    return [Partition(each.topic, each.partition) for each in sorted(partitions)]
