"""One supervised worker: the service in a process of its own, answering its supervisor's questions.

Started by `process.WorkerProcess` as `python -m langgraph_integration.ops.workers.worker FD`.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Self

from langgraph_integration.garbage import hold_garbage
from langgraph_integration.ops.logs import configure_logging
from langgraph_integration.ops.metrics import Metrics
from langgraph_integration.ops.workers.report import Report, WorkerTask
from langgraph_integration.pipeline.status import ServiceStatus
from workflow_events.errors import ConfigurationError

log = logging.getLogger(__name__)


class Reporter:
    """Answers from a thread of its own, so that a blocked loop is told of and does not hide.

    When the supervisor is gone, the process is asked to stop: nobody would restart it or tell of it.
    """

    def __init__(
        self,
        connection: "Connection[Report, int]",
        metrics: Metrics,
        status: Callable[[], ServiceStatus],
    ) -> None:
        self._connection = connection
        self._metrics = metrics
        self._status = status
        self._closing = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._answer, name="reporter", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True

    def _answer(self) -> None:
        try:
            while True:
                question = self._connection.recv()
                families = list(self._metrics.registry.collect())
                self._connection.send(Report(question, self._status(), families))
        except (EOFError, OSError):
            if not self._closing:
                log.warning("the supervisor is gone: stopping", extra={"action": "supervisor_gone"})
                os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    """The service's exit code; 2 for settings that cannot be used."""
    connection: Connection[Any, Any] = Connection(int(sys.argv[1]))
    task: WorkerTask = connection.recv()
    configure_logging(task.log, secrets=task.config.secrets())
    for handler in logging.getLogger().handlers:
        handler.addFilter(_numbered(task.number))
    hold_garbage()
    # after the log is set up: what loading the graphs' libraries says is part of it
    from langgraph_integration.service import EXIT_USAGE, run

    try:
        return run(task.config, watch=lambda metrics, status: Reporter(connection, metrics, status))
    except ConfigurationError as error:
        log.error("%s", error, extra={"action": "failed"})
        return EXIT_USAGE


def _numbered(number: int) -> Callable[[logging.LogRecord], bool]:
    def add(record: logging.LogRecord) -> bool:
        record.worker = number
        return True

    return add


if __name__ == "__main__":
    sys.exit(main())
