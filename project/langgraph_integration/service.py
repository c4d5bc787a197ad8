"""The service: run the consumer until told to stop, with health and metrics served beside it.

Start it with `python -m langgraph_integration.service` or `langgraph-kafka serve`.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from langgraph_integration.config import ConsumerConfig
from langgraph_integration.consumer import LangGraphKafkaConsumer
from langgraph_integration.event_loop import new_event_loop
from langgraph_integration.garbage import settle_garbage
from langgraph_integration.graphs.threads import busy_node_threads
from langgraph_integration.ops.logs import configure_logging
from langgraph_integration.ops.metrics import Metrics
from langgraph_integration.ops.settings import HttpSettings, LogSettings
from langgraph_integration.pipeline.faults import arm
from langgraph_integration.pipeline.status import ServiceStatus
from workflow_events.errors import ConfigurationError, WorkflowError
from workflow_events.settings import environment_text

log = logging.getLogger(__name__)

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_FORCED = 130


Watch = Callable[[Metrics, Callable[[], ServiceStatus]], AbstractContextManager[object]]
"""Opens whatever shows a service's metrics and status to somebody, while it runs."""


async def main(
    config: ConsumerConfig | None = None, *, http: HttpSettings | None = None, watch: Watch | None = None
) -> int:
    """Run until SIGINT or SIGTERM and return the exit code.

    0 after an orderly stop, also when runs were left to their lease; 1 when the service could not run or
    its last commit is unknown. A second signal ends the process at once with 130. `None` takes the
    environment. With `watch` nothing is served here. Raises `ConfigurationError` for settings that cannot
    be used.
    """
    config = config or ConsumerConfig()
    arm(environment_text("WORKFLOW_FAULT_POINT"))
    stop = asyncio.Event()
    _on_signals(stop)
    metrics = Metrics()
    consumer = LangGraphKafkaConsumer(config, observe=metrics.observe)
    with (watch or _served(config, http or HttpSettings.from_env()))(metrics, consumer.status):
        try:
            await _run(consumer, stop)
        except ConfigurationError:
            raise
        except WorkflowError as error:
            log.error("the service cannot run: %s", error, extra={"action": "failed"})
            return EXIT_FAILED
        finally:
            await consumer.stop()
    return EXIT_OK if consumer.last_stop.committed else EXIT_FAILED


def _served(config: ConsumerConfig, http: HttpSettings) -> Watch:
    # a web server is a tenth of a second of imports, and a supervised worker has none
    from langgraph_integration.ops.monitoring import Monitoring

    return lambda metrics, status: Monitoring(config, http, metrics, status)


async def _run(consumer: LangGraphKafkaConsumer, stop: asyncio.Event) -> None:
    stopping = asyncio.create_task(stop.wait(), name="stop-signal")
    try:
        starting = asyncio.create_task(consumer.start(), name="start")
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            with suppress(asyncio.CancelledError):
                await starting
            return
        starting.result()
        settle_garbage()
        consuming = asyncio.create_task(consumer.consume_and_process(), name="consume")
        await asyncio.wait({consuming, stopping}, return_when=asyncio.FIRST_COMPLETED)
        consumer.running = False
        if consuming.done():
            consuming.result()
    finally:
        stopping.cancel()


def _on_signals(stop: asyncio.Event) -> None:
    def told(number: signal.Signals) -> None:
        if stop.is_set():
            log.warning("%s again: ending at once", number.name, extra={"action": "forced"})
            logging.shutdown()
            # exit handlers would wait for the threads of running nodes
            os._exit(EXIT_FORCED)
        log.info("%s: stopping", number.name, extra={"action": "signal", "signal": number.name})
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told, number)


def run(
    config: ConsumerConfig | None = None, *, http: HttpSettings | None = None, watch: Watch | None = None
) -> int:
    """The exit code of `main` in an event loop of its own.

    Ends the process itself where synchronous nodes still run: neither the loop nor the interpreter would
    end before them.
    """
    with asyncio.Runner(loop_factory=new_event_loop()) as runner:
        code = runner.run(main(config, http=http, watch=watch))
        if busy := busy_node_threads(runner.get_loop()):
            log.warning("%d synchronous nodes still run", busy, extra={"action": "threads_left"})
            logging.shutdown()
            os._exit(code)
    return code


def _from_environment() -> int:
    try:
        config = ConsumerConfig()
        configure_logging(LogSettings.from_env(), secrets=config.secrets())
        return run(config)
    except ConfigurationError as error:
        log.error("%s", error, extra={"action": "failed"})
        return EXIT_USAGE


if __name__ == "__main__":
    sys.exit(_from_environment())
