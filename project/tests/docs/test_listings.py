"""The listings of the two guides that promise it are executed in order, as a reader types them."""

from __future__ import annotations

import asyncio
import re
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


async def test_the_producer_guide_runs(
    kafka_environment: TopicNames, capsys: pytest.CaptureFixture[str]
) -> None:
    """Against a broker and a consumer: publish, ask and wait, and find the answer again."""
    consumer = LangGraphKafkaConsumer()
    await consumer.start()
    consuming = asyncio.create_task(consumer.consume_and_process())
    try:
        assert await asyncio.to_thread(run, ROOT / "docs/kafka-producer-guide.md") == 4
    finally:
        consumer.running = False
        await consuming
        await consumer.stop()

    event_id, conclusion = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"[0-9a-f-]{36}", event_id)
    assert conclusion.startswith("The task 'summary' is done. 3 rows in 1 column")
