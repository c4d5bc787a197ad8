"""The service: run the consumer until told to stop.

python -m langgraph_integration.service
"""

import asyncio
import logging
import signal
import sys
from contextlib import suppress

from langgraph_integration.config import ConsumerConfig
from langgraph_integration.consumer import LangGraphKafkaConsumer
from workflow_events.errors import WorkflowError

log = logging.getLogger(__name__)

EXIT_OK = 0
EXIT_UNCONFIRMED = 1
EXIT_FAILED = 1
EXIT_FORCED = 130


async def main(config: ConsumerConfig | None = None) -> int:
    """Run until SIGINT or SIGTERM and return the exit code.

    0 after an orderly stop, also when runs were left to their lease; 1 when the service could not start or
    its last commit is unknown; a second signal forces the process to end with 130.
    """
    stop = asyncio.Event()
    _on_signals(stop)
    consumer = LangGraphKafkaConsumer(config)
    try:
        await _unless_stopped(consumer, stop)
    except WorkflowError as error:
        log.error("cannot run: %s", error, extra={"action": "failed"})
        return EXIT_FAILED
    finally:
        await consumer.stop()
    return EXIT_OK if consumer.last_stop.committed else EXIT_UNCONFIRMED


async def _unless_stopped(consumer: LangGraphKafkaConsumer, stop: asyncio.Event) -> None:
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
        consuming = asyncio.create_task(consumer.consume_and_process(), name="consume")
        await asyncio.wait({consuming, stopping}, return_when=asyncio.FIRST_COMPLETED)
        consumer.running = False
        await consuming
    finally:
        stopping.cancel()


def _on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def told(number: signal.Signals) -> None:
        if stop.is_set():
            log.warning("second signal: stopping at once", extra={"action": "forced"})
            logging.shutdown()
            # the event loop may be blocked in a drain; nothing but this ends the process for certain
            signal.signal(number, signal.SIG_DFL)
            sys.stderr.flush()
            _exit_now()
        log.info("%s: stopping", number.name, extra={"action": "signal", "signal": number.name})
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told, number)


def _exit_now() -> None:
    import os

    os._exit(EXIT_FORCED)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    sys.exit(asyncio.run(main()))
