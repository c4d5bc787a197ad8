"""LangGraphKafkaConsumer: consumes workflow events and runs LangGraph for them."""

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass

from langgraph_integration.broker.source import KafkaEventSource
from langgraph_integration.broker.thread import KafkaThread
from langgraph_integration.closing import closed_within
from langgraph_integration.config import ConsumerConfig
from langgraph_integration.dead_letter import DeadLetterQueue
from langgraph_integration.engine import Engine, Surroundings
from langgraph_integration.pipeline.happenings import Happening, Observer
from langgraph_integration.pipeline.status import ServiceStatus
from langgraph_integration.processor import WorkflowProcessor
from langgraph_integration.result_producer import ResultProducer
from langgraph_integration.retry import RetryConfig

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StopReport:
    """How the last `stop` went: runs left to their lease, and whether the last commits and verdicts are known
    to have arrived.
    """

    runs_left: int = 0
    committed: bool = True


class LangGraphKafkaConsumer:
    """Takes `workflow.triggered` events, runs their graphs, publishes results and dead letters.

    May be started and stopped again and again. `processor`, `retry_config` and
    `processor.process_workflow_event` are looked up for every event, so that they may be replaced or
    wrapped. Setting `running = False` ends `consume_and_process`.

        consumer = LangGraphKafkaConsumer(config=ConsumerConfig())
        try:
            await consumer.start()
            await consumer.consume_and_process()
        finally:
            await consumer.stop()
    """

    def __init__(self, config: ConsumerConfig | None = None, *, observe: Observer | None = None) -> None:
        self.config = config or ConsumerConfig()
        self.retry_config = RetryConfig()
        self.running = False
        self.consumer: KafkaEventSource | None = None
        """The member of the consumer group; `None` before `start` and after `stop`."""
        self.last_stop = StopReport()
        self._kafka = KafkaThread()
        kafka = self.config.kafka
        self.dlq = DeadLetterQueue(topic=self.config.dlq_topic, settings=kafka)
        self.result_producer = ResultProducer(topic=self.config.results_topic, settings=kafka)
        self.processor = WorkflowProcessor(workflow_timeout=self.config.execution_timeout)
        self._observe: Observer = observe or _ignore
        self._engine: Engine | None = None
        self._stack = AsyncExitStack()
        self._lifecycle = asyncio.Lock()
        self._consuming: asyncio.Task[None] | None = None

    @property
    def engine(self) -> Engine | None:
        """The started parts, for status and tests; `None` before `start` and after `stop`."""
        return self._engine

    def status(self) -> ServiceStatus:
        """One look at the service, from any thread; see `ServiceStatus`."""
        engine = self._engine
        return ServiceStatus() if engine is None else engine.status(running=self.running)

    async def start(self) -> None:
        """Connect, join the group and place its partitions: what is published from now on is seen.

        Harmless when started already. Raises `ConfigurationError`, `StoreUnavailable` or
        `BrokerUnavailable`, each naming what to look at; nothing is left open then.
        """
        async with self._lifecycle:
            if self._engine is not None:
                return
            log.info("starting", extra={"action": "starting", "topic": self.config.topic})
            stack = AsyncExitStack()
            try:
                engine = await Engine.open(stack, self.config, self._surroundings())
            except BaseException:
                await closed_within(stack)
                raise
            if self.processor.runner is None:
                self.processor.runner = engine.runner
                stack.callback(self._unbind)
            self._engine, self._stack = engine, stack
            self.consumer = engine.source
            self.running = True
            log.info("started", extra={"action": "started", "group_id": self.config.group_id})

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            kafka=self._kafka,
            dlq=self.dlq,
            results=self.result_producer,
            processor=lambda: self.processor,
            retry_config=lambda: self.retry_config,
            observe=self._observe,
        )

    async def consume_and_process(self) -> None:
        """Take and run events until `running` is set False or the task is cancelled.

        Runs in flight go on when this returns; `stop` drains them. Raises RuntimeError before `start`.
        """
        engine = self._engine
        if engine is None:
            raise RuntimeError("Consumer not started. Call start() first.")
        self._consuming = asyncio.current_task()
        log.info("consuming", extra={"action": "consuming", "topic": self.config.topic})
        try:
            await engine.dispatcher.take(lambda: self.running)
        finally:
            self._consuming = None
            log.info("consuming ended", extra={"action": "consuming_ended"})

    async def commit(self) -> bool:
        """Commit what is settled now; False if the broker did not confirm. For `enable_auto_commit=False`.

        Raises RuntimeError before `start`.
        """
        if self._engine is None:
            raise RuntimeError("Consumer not started. Call start() first.")
        return await self._engine.committer.commit_ready(quiet=True)

    async def stop(self) -> None:
        """Stop taking, drain, settle and commit, stop the producers, leave the group.

        Takes at most 7 s with nothing in flight, else the shutdown timeout + 5 s, broker dead or alive.
        Safe when never started; may be called again. `last_stop` says how it went.
        """
        self.running = False
        async with self._lifecycle:
            engine = self._engine
            if engine is None:
                return
            log.info("stopping", extra={"action": "stopping", "in_flight": engine.dispatcher.in_flight})
            try:
                await self._taking_ended()
                left, committed = await engine.close()
                self.last_stop = StopReport(left, committed)
            finally:
                self._engine = self.consumer = None
                stack, self._stack = self._stack, AsyncExitStack()
                await closed_within(stack)
            log.info("stopped", extra={"action": "stopped", "runs_left": left, "committed": committed})

    async def _taking_ended(self) -> None:
        task = self._consuming
        if task is not None and task is not asyncio.current_task():
            await asyncio.wait({task}, timeout=1.5)

    def _unbind(self) -> None:
        # the next start brings graphs with the next store's checkpointer
        self.processor.runner = None


def _ignore(_: Happening) -> None:
    """Nobody watches."""
