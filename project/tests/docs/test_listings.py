"""The listings of README and of the two guides that promise it are executed, as a reader types them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from langgraph_integration.consumer import LangGraphKafkaConsumer
from tests.docs.pages import ROOT, listings
from workflow_events.settings import TopicNames


def run(page: Path) -> int:
    """Execute the Python listings of a page in one namespace; how many there were."""
    names: dict[str, object] = {}
    found = listings(page, "python")
    for listing in found:
        exec(compile(listing.text, listing.where, "exec"), names)
    return len(found)


def test_the_event_schema_guide_runs() -> None:
    """Pure Python: models and codec."""
    assert run(ROOT / "docs/event-schema-guide.md") == 3


@pytest.fixture
async def serving(kafka_environment: TopicNames) -> AsyncIterator[None]:
    """A consumer that runs beside the listings."""
    consumer = LangGraphKafkaConsumer()
    await consumer.start()
    consuming = asyncio.create_task(consumer.consume_and_process())
    yield
    consumer.running = False
    await consuming
    await consumer.stop()


@pytest.mark.usefixtures("serving")
async def test_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """Its listing asks and prints the answer."""
    assert await asyncio.to_thread(run, ROOT / "README.md") == 1

    assert capsys.readouterr().out.startswith(
        "success The task 'find the trend' is done. sales rises by 7 per row"
    )


@pytest.mark.usefixtures("serving")
async def test_the_producer_guide_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """Against a broker and a consumer: publish, ask and wait, and find the answer again."""
    assert await asyncio.to_thread(run, ROOT / "docs/kafka-producer-guide.md") == 4

    event_id, conclusion = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"[0-9a-f-]{36}", event_id)
    assert conclusion.startswith("The task 'summary' is done. 3 rows in 1 column")
