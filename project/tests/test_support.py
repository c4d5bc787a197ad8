"""The helpers of the tests, where a fault in them could hide a fault in the product."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fundamentals.asking import ask, records_on
from tests.support import wait_until, wait_until_sync
from tests.support.error_log import logged_errors
from tests.support.sharing import shared_service
from tests.support.status import status
from workflow_events.settings import TopicNames


async def test_wait_until_returns_the_first_truthy_value() -> None:
    """Plain and async predicates are the same to it."""
    answers = iter([0, None, "now"])

    async def ask() -> object:
        return next(answers)

    assert await wait_until(ask, 5, "an answer") == "now"
    assert wait_until_sync(lambda: 7, 5, "a number") == 7


async def test_wait_until_names_what_never_came() -> None:
    """The failure of a test says what it waited for."""
    with pytest.raises(AssertionError, match="in vain for a miracle"):
        await wait_until(lambda: False, 0.05, "a miracle")


async def test_a_reader_of_a_topic_shows_one_record_too_many(kafka_environment: TopicNames) -> None:
    """`[only] = await records_on(topic, 1)` fails where there are two."""
    for _ in range(2):
        await ask()

    assert len(await records_on(kafka_environment.events, 1)) == 2


def test_status_lines_have_the_format_of_the_guide(capsys: pytest.CaptureFixture[str]) -> None:
    """`[HH:MM:SS] TYPE: message` on stderr, TYPE by who logs and what it does."""
    product = logging.getLogger("langgraph_integration.consumer")
    status.info("published %s", "event-1")
    product.info("waiting for events", extra={"action": "poll"})
    product.info("event settled", extra={"action": "event_settled"})
    product.info("leaving the group", extra={"action": "stop"})

    lines = capsys.readouterr().err.splitlines()
    assert all(re.match(r"\[\d\d:\d\d:\d\d\] ", line) for line in lines)
    assert [line.partition(" ")[2] for line in lines] == [
        "TEST: published event-1",
        "CONSUMER: waiting for events",
        "CAPTURE: event settled",
        "STOP: leaving the group",
    ]


@pytest.mark.expect_errors
def test_errors_of_our_loggers_are_collected_and_those_of_others_are_not() -> None:
    """Only the product's own ERROR lines count against a test."""
    with logged_errors() as errors:
        logging.getLogger("workflow_events.producer").error("not %s", "sent")
        logging.getLogger("workflow_events.producer").warning("slow")
        logging.getLogger("aiokafka").error("noise")

    assert errors == ["workflow_events.producer: not sent"]


def test_a_shared_service_is_started_once_and_outlives_its_first_user(tmp_path: Path) -> None:
    """The owner waits for the others before it ends the service."""
    happened: list[str] = []
    release, joined = threading.Event(), threading.Event()

    @contextmanager
    def start() -> Iterator[str]:
        happened.append("started")
        yield "address"
        happened.append("ended")

    def second_user() -> None:
        with shared_service(tmp_path, "thing", start) as address:
            joined.set()
            release.wait(10)
            happened.append(f"used {address}")

    other = threading.Thread(target=second_user)
    with shared_service(tmp_path, "thing", start):
        other.start()
        assert joined.wait(10)
        threading.Timer(0.1, release.set).start()
    other.join()

    assert happened == ["started", "used address", "ended"]
