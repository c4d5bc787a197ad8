"""Engine: the parts of one started consumer, wired; opened and closed as one."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from langgraph_integration.broker.clients import consumer_arguments
from langgraph_integration.broker.source import KafkaEventSource
from langgraph_integration.broker.thread import KafkaThread
from langgraph_integration.closing import all_at_once, meanwhile
from langgraph_integration.config import ConsumerConfig
from langgraph_integration.dead_letter import DeadLetterQueue
from langgraph_integration.graphs.conversion import outcome_of
from langgraph_integration.graphs.registry import load_registry
from langgraph_integration.graphs.runner import LangGraphRunner
from langgraph_integration.graphs.threads import NodeThreads, install_node_threads
from langgraph_integration.pipeline.attempts import Attempts
from langgraph_integration.pipeline.committer import Committer
from langgraph_integration.pipeline.delivery import Partition
from langgraph_integration.pipeline.dispatcher import Dispatcher
from langgraph_integration.pipeline.gate import IntakeGate
from langgraph_integration.pipeline.handler import EventHandler
from langgraph_integration.pipeline.happenings import Happening, Observer
from langgraph_integration.pipeline.leases import LeaseKeeper
from langgraph_integration.pipeline.limit import DeadLetterLimit
from langgraph_integration.pipeline.offsets import OffsetTracker
from langgraph_integration.pipeline.ports import Processor
from langgraph_integration.pipeline.sink import PublishingSink
from langgraph_integration.pipeline.slots import Slots
from langgraph_integration.pipeline.status import ServiceStatus
from langgraph_integration.pipeline.sweeper import Sweeper
from langgraph_integration.pipeline.watchdog import LoopWatch
from langgraph_integration.result_producer import ResultProducer
from langgraph_integration.retry import RetryConfig
from langgraph_integration.store import Store, open_store

log = logging.getLogger(__name__)

# of the guide's 5 + 2 seconds; with runs in flight less, for what is over the shutdown timeout is 5 s in all
_COMMIT_S = 3.0
_QUICK_COMMIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the engine takes from its consumer. The callables are asked for every event."""

    kafka: KafkaThread
    dlq: DeadLetterQueue
    results: ResultProducer
    processor: Callable[[], Processor]
    retry_config: Callable[[], RetryConfig]
    observe: Observer


class Engine:
    """Everything that lives between `start` and `stop`. Built by `Engine.open`."""

    def __init__(
        self,
        config: ConsumerConfig,
        around: Surroundings,
        *,
        store: Store,
        runner: LangGraphRunner,
        threads: NodeThreads,
    ) -> None:
        self.config = config
        self.runner = runner
        self.threads = threads
        self.kafka = around.kafka
        self.gate = IntakeGate()
        self.limit = DeadLetterLimit(config.dead_letter_limit)
        self.slots = Slots(config.max_concurrency)
        self.tracker = OffsetTracker()
        self.watch = LoopWatch()
        self.started_at = datetime.now(UTC)
        self._observe = around.observe
        self._store = store
        self._tasks: list[asyncio.Task[None]] = []
        budget_s = max(1.0, config.rebalance_timeout_ms / 1000 - 2.0)
        self.source = KafkaEventSource(
            self.kafka,
            consumer_arguments(
                config.kafka,
                group_id=config.group_id,
                session_timeout_ms=config.session_timeout_ms,
                heartbeat_interval_ms=config.heartbeat_interval_ms,
                rebalance_timeout_ms=config.rebalance_timeout_ms,
                group_instance_id=config.group_instance_id,
            ),
            settings=config.kafka,
            topic=config.topic,
            start_at=config.auto_offset_reset,
            store_id=store.store_id if store.durable else None,
            listener=self,
            revoke_budget_s=budget_s,
        )
        self.committer = Committer(self.source, self.tracker, self.gate)
        sink = PublishingSink(around.results, around.dlq)
        attempts = Attempts(
            processor=around.processor,
            retry_config=around.retry_config,
            to_outcome=lambda event, state: outcome_of(runner.resolve(event), state),
            ledger=store.ledger,
            gate=self.gate,
            max_claims=config.max_claims,
            observe=self._tell,
            may_try=lambda: self.limit.allows(self.dispatcher.undecided - 1),
            thread_patience_s=config.execution_timeout,
        )
        self.handler = EventHandler(
            attempts=attempts,
            ledger=store.ledger,
            sink=sink,
            gate=self.gate,
            max_event_bytes=config.max_event_bytes,
            observe=self._tell,
        )
        self.dispatcher = Dispatcher(
            self.source,
            self.handler,
            slots=self.slots,
            gate=self.gate,
            limit=self.limit,
            tracker=self.tracker,
            committer=self.committer,
            max_poll_records=config.max_poll_records,
        )
        self.keeper = LeaseKeeper(
            store.ledger, self.handler.live, self.gate, lease_time_s=config.session_timeout_ms / 1000
        )

    @classmethod
    async def open(
        cls,
        stack: AsyncExitStack,
        config: ConsumerConfig,
        around: Surroundings,
    ) -> "Engine":
        """Open store, graphs, producers and the consumer, in this order; `stack` closes what was opened.

        The producers connect while the graphs are imported. Raises `ConfigurationError`,
        `StoreUnavailable` or `BrokerUnavailable`.
        """
        store = await stack.enter_async_context(
            open_store(
                config.state_url, owner=_owner(), lease_time=timedelta(milliseconds=config.session_timeout_ms)
            )
        )
        threads = install_node_threads(asyncio.get_running_loop(), config.sync_threads)
        around.kafka.start()
        stack.callback(around.kafka.stop)
        clients: list[Callable[[], Awaitable[object]]] = [around.results.stop, around.dlq.stop]
        stack.push_async_callback(all_at_once, clients)
        async with meanwhile(all_at_once([around.results.start, around.dlq.start])):
            registry = await load_registry(config.graphs_file, store.saver)
        engine = cls(config, around, store=store, runner=LangGraphRunner(registry), threads=threads)
        clients.append(engine.source.stop)
        await engine.source.start()
        # how late it was while graphs were imported says nothing about the service
        around.kafka.worst_lag_s = 0.0
        engine._begin()
        return engine

    def _begin(self) -> None:
        background: list[tuple[str, Coroutine[Any, Any, None]]] = [
            ("lease-keeper", self.keeper.run()),
            ("loop-watch", self.watch.run()),
            ("sweeper", Sweeper(self._store.gc).run()),
        ]
        if self.config.enable_auto_commit:
            background.append(("committer", self.committer.run()))
        self._tasks = [asyncio.create_task(each, name=name) for name, each in background]
        for task in self._tasks:
            task.add_done_callback(self._background_ended)

    def _background_ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            # nothing may be taken that nobody commits, or whose lease nobody renews
            self.gate.hold(task.get_name(), f"a part of the service failed: {error!r}; restart it")
            log.error("%s failed", task.get_name(), exc_info=error, extra={"action": "background_failed"})

    async def close(self) -> tuple[int, bool]:
        """Drain within the shutdown timeout, then settle and commit. The stack does the rest.

        Returns how many runs were left to their lease, and whether all that was published and committed
        is known to have arrived.
        """
        left = await self.dispatcher.drain(self.config.shutdown_timeout)
        if left:
            log.warning("%d runs left to their lease", left, extra={"action": "runs_left", "runs": left})
        await self.dispatcher.abandon()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        published = self.handler.unconfirmed == 0
        if not self.config.enable_auto_commit:
            return left, published
        commit = asyncio.create_task(self.committer.commit_ready(quiet=True), name="last-commit")
        done, _ = await asyncio.wait({commit}, timeout=_QUICK_COMMIT_S if left else _COMMIT_S)
        if not done:
            commit.cancel()
            return left, False
        return left, commit.result() and published

    async def partitions_assigned(self, partitions: Sequence[Partition], generation: int) -> None:
        """Count their offsets, unless another store settled them: two stores would give two verdicts."""
        await self.dispatcher.partitions_assigned(partitions, generation)
        foreign = self.source.policy.foreign_store
        if foreign is None:
            self.gate.release("store identity")
        else:
            self.gate.hold(
                "store identity",
                f"the group's offsets were committed by a worker with another store ({foreign}); this one's "
                f"is {self._store.store_id}. Give all workers of a group the same WORKFLOW_STATE_URL; "
                "if that store is lost, kafka-consumer-groups.sh --reset-offsets --to-current forgets it",
            )
        if self.source.policy.metadata_kept is False:
            log.warning(
                "the broker keeps no commit metadata: workers with different stores are not noticed",
                extra={"action": "metadata_dropped"},
            )

    async def partitions_revoked(self, partitions: Sequence[Partition]) -> None:
        """Commit what is settled of what leaves."""
        await self.dispatcher.partitions_revoked(partitions)

    def status(self, *, running: bool) -> ServiceStatus:
        """One look at everything, from any thread."""
        now = time.monotonic()
        partitions = tuple(self.tracker.partitions)
        answered_at = self.source.ends.answered_at
        waits = self.dispatcher.waiting > 0
        held_by_errors = waits and self.limit.held_by_errors(self.dispatcher.undecided)
        return ServiceStatus(
            started_at=self.started_at,
            running=True,
            stopping=not running,
            joined=self.source.joined,
            last_poll_age_s=None if answered_at is None else now - answered_at,
            last_commit_age_s=now - self.committer.committed_at,
            partitions=partitions,
            lags={each: lag for each in partitions if (lag := self._lag(each)) is not None},
            oldest_unsettled_s={each: self.tracker.oldest_age_s(each) for each in partitions},
            in_flight=self.dispatcher.in_flight,
            waiting=self.dispatcher.waiting,
            slots=self.slots.limit,
            slots_taken=self.slots.taken,
            sync_threads=self.threads.size,
            busy_threads=self.threads.busy,
            overdue_threads=self.dispatcher.overdue_threads,
            gate_reasons=self.gate.reasons,
            limit_tripped=self.limit.tripped,
            held_by_errors=held_by_errors,
            commonest_error=self.limit.commonest_error if self.limit.tripped or held_by_errors else None,
            main_loop_beat_s=now - self.watch.beat_at,
            main_loop_worst_lag_s=self.watch.worst_lag_s,
            kafka_loop_beat_s=now - self.kafka.beat_at,
            kafka_loop_worst_lag_s=self.kafka.worst_lag_s,
            blocked_by=self.watch.blocked_by,
        )

    def _lag(self, partition: Partition) -> int | None:
        end = self.source.ends.known.get(partition)
        position = self.tracker.watermark(partition)
        if position is None:
            position = self.source.policy.starts.get(partition)
        return None if end is None or position is None else max(0, end - position)

    def _tell(self, happening: Happening) -> None:
        self.limit.observe(happening)
        self._observe(happening)


def _owner() -> str:
    """Differs for every life of every process."""
    return f"{socket.gethostname()}/{os.getpid()}/{uuid4().hex[:8]}"
