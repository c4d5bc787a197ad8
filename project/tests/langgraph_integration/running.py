"""A consumer at work, in this process or as a service of its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from langgraph_integration.config import ConsumerConfig
from langgraph_integration.consumer import LangGraphKafkaConsumer
from langgraph_integration.retry import RetryConfig
from tests.support.waiting import wait_until_sync

QUICK_RETRIES = RetryConfig(max_retries=3, initial_delay=0.01, max_delay=0.05)


@asynccontextmanager
async def consuming(
    config: ConsumerConfig, *, retry: RetryConfig = QUICK_RETRIES
) -> AsyncIterator[LangGraphKafkaConsumer]:
    """A started consumer that takes events until the block ends."""
    consumer = LangGraphKafkaConsumer(config)
    consumer.retry_config = retry
    await consumer.start()
    task = asyncio.create_task(consumer.consume_and_process())
    try:
        yield consumer
    finally:
        await consumer.stop()
        await task


class Service:
    """`python -m langgraph_integration.service` in a process of its own."""

    def __init__(self, config: ConsumerConfig, log_file: Path, environment: dict[str, str]) -> None:
        self.log_file = log_file
        with log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "langgraph_integration.service"],
                env={**os.environ, **_environment_of(config), **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self.log_file.read_text(errors="replace")

    def wait_for(self, text: str, timeout: float = 40.0) -> None:
        """Return once its log has the text (seconds)."""

        def there() -> bool:
            assert self.process.poll() is None or text in self.log, f"it ended:\n{self.log[-3000:]}"
            return text in self.log

        wait_until_sync(there, timeout, f"{text!r} in {self.log_file}")

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def exit_code(self, timeout: float = 40.0) -> int:
        """Its exit code, once it has ended (seconds)."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s:\n{self.log[-3000:]}") from None

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)


@contextmanager
def service(config: ConsumerConfig, log_file: Path, **environment: str) -> Iterator[Service]:
    """A service that has joined its group; killed at the end if it still runs."""
    running = Service(config, log_file, environment)
    try:
        running.wait_for("consuming")
        yield running
    finally:
        running.end()


def _environment_of(config: ConsumerConfig) -> dict[str, str]:
    names = {
        "bootstrap_servers": "KAFKA_BOOTSTRAP_SERVERS",
        "topic": "KAFKA_WORKFLOW_EVENTS_TOPIC",
        "results_topic": "KAFKA_WORKFLOW_RESULTS_TOPIC",
        "dlq_topic": "KAFKA_DLQ_TOPIC",
        "group_id": "KAFKA_CONSUMER_GROUP_ID",
        "auto_offset_reset": "KAFKA_AUTO_OFFSET_RESET",
        "enable_auto_commit": "KAFKA_ENABLE_AUTO_COMMIT",
        "session_timeout_ms": "KAFKA_SESSION_TIMEOUT_MS",
        "heartbeat_interval_ms": "KAFKA_HEARTBEAT_INTERVAL_MS",
        "state_url": "WORKFLOW_STATE_URL",
        "graphs_file": "LANGGRAPH_CONFIG",
        "max_concurrency": "WORKFLOW_MAX_CONCURRENCY",
        "execution_timeout": "WORKFLOW_EXECUTION_TIMEOUT",
        "shutdown_timeout": "WORKFLOW_SHUTDOWN_TIMEOUT",
    }
    values = {variable: getattr(config, name) for name, variable in names.items()}
    settings = {name: str(value) for name, value in values.items() if value is not None}
    return {**settings, "WORKFLOW_HTTP_PORT": "0", "PYTHONUNBUFFERED": "1"}
