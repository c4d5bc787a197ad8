"""Errors that were only logged: a test in which one happens has not passed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

OUR_LOGGERS = (
    "airflow_integration",
    "kafka_devbroker",
    "langgraph_integration",
    "langgraph_workflows",
    "workflow_events",
)


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(f"{record.name}: {record.getMessage()}")


@contextmanager
def logged_errors() -> Iterator[list[str]]:
    """The messages our loggers write at ERROR or above while it lasts, as a list that grows."""
    collector = _Collector()
    for name in OUR_LOGGERS:
        logging.getLogger(name).addHandler(collector)
    try:
        yield collector.messages
    finally:
        for name in OUR_LOGGERS:
            logging.getLogger(name).removeHandler(collector)
