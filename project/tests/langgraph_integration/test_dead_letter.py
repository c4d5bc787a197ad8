"""DeadLetterQueue on a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from langgraph_integration.dead_letter import DeadLetterQueue
from tests.langgraph_integration.events import event
from tests.langgraph_integration.topics import letter_of, read
from tests.support.brokers import TestBroker
from workflow_events.dead_letter import DeadLetterEvent
from workflow_events.errors import NotJson, RecordTooLarge
from workflow_events.ids import dead_letter_id
from workflow_events.settings import TopicNames

GONE = "127.0.0.1:1"


@asynccontextmanager
async def _queue(broker: TestBroker, topics: TopicNames) -> AsyncIterator[DeadLetterQueue]:
    dlq = DeadLetterQueue(broker.bootstrap_servers, topics.dead_letters)
    await dlq.start()
    try:
        yield dlq
    finally:
        await dlq.stop()


async def _letters(broker: TestBroker, topics: TopicNames, number: int) -> list[DeadLetterEvent]:
    messages = await asyncio.to_thread(read, broker.bootstrap_servers, topics.dead_letters, number)
    return [letter_of(message) for message in messages]


def test_names_come_from_argument_environment_or_the_guide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read when the object is made."""
    plain = DeadLetterQueue()
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:1")
    monkeypatch.setenv("KAFKA_DLQ_TOPIC", "letters")
    from_environment = DeadLetterQueue()
    explicit = DeadLetterQueue("kafka:2", "mine")

    assert (plain.bootstrap_servers, plain.topic) == ("localhost:9092", "workflow-events-dlq")
    assert (from_environment.bootstrap_servers, from_environment.topic) == ("kafka:1", "letters")
    assert (explicit.bootstrap_servers, explicit.topic) == ("kafka:2", "mine")
    assert plain.producer is None


async def test_publishing_before_start_is_refused() -> None:
    """With a text that says what to do."""
    with pytest.raises(RuntimeError, match="not started"):
        await DeadLetterQueue().publish_failed_event({}, ValueError(), 0)


async def test_stop_is_harmless_without_start_and_twice() -> None:
    """It never raises."""
    dlq = DeadLetterQueue(GONE)
    await dlq.stop()
    await dlq.stop()

    assert dlq.producer is None


@pytest.mark.each_broker
async def test_a_failed_event_is_kept_as_the_guide_has_it(broker: TestBroker, topics: TopicNames) -> None:
    """The event, the error without its trace, the retries that really happened, who asked."""
    asked = event({"task": "analysis"})
    original = asked.model_dump(mode="json")
    async with _queue(broker, topics) as dlq:
        await dlq.publish_failed_event(
            original, ConnectionError("no route"), 3, context={"workflow_id": "other"}
        )
    (letter,) = await _letters(broker, topics, 1)

    assert letter.original_event == original
    assert (letter.error.type, letter.error.message) == ("ConnectionError", "no route")
    assert letter.error.traceback is None
    assert letter.retry_count == 3
    assert letter.context == {"workflow_id": "other", "workflow_run_id": "run-1"}
    assert letter.dlq_id == dead_letter_id(asked.event_id, 1)


async def test_events_that_are_hardly_any_are_kept_too(broker: TestBroker, topics: TopicNames) -> None:
    """Without an id, without anything; unknown ids are null and each letter has an id of its own."""
    async with _queue(broker, topics) as dlq:
        for original in ({}, {"event_id": "no uuid", "x": [1]}, None):
            await dlq.publish_failed_event(original, ValueError(), 0)
    letters = await _letters(broker, topics, 3)

    assert {str(letter.context) for letter in letters} == {"{'workflow_id': None, 'workflow_run_id': None}"}
    assert len({letter.dlq_id for letter in letters}) == 3


async def test_it_may_be_started_again(broker: TestBroker, topics: TopicNames) -> None:
    """The same object, as often as one likes; a second start of a started one changes nothing."""
    dlq = DeadLetterQueue(broker.bootstrap_servers, topics.dead_letters)
    for _ in range(2):
        await dlq.start()
        await dlq.start()
        await dlq.publish_failed_event({}, ValueError(), 0)
        await dlq.stop()
        assert dlq.producer is None

    assert len(await _letters(broker, topics, 2)) == 2


async def test_what_json_cannot_carry_is_named(broker: TestBroker, topics: TopicNames) -> None:
    """Nothing is sent then."""
    async with _queue(broker, topics) as dlq:
        with pytest.raises(NotJson, match=r"original_event\.x"):
            await dlq.publish_failed_event({"x": object()}, ValueError(), 0)
        await dlq.publish_failed_event({"x": 1}, ValueError(), 0)

    assert len(await _letters(broker, topics, 1)) == 1


@pytest.mark.each_broker
@pytest.mark.topics(config={"max.message.bytes": "20000"})
async def test_a_letter_above_the_topics_limit_is_refused_before_it_is_sent(
    broker: TestBroker, topics: TopicNames
) -> None:
    """The producer is as good as before."""
    async with _queue(broker, topics) as dlq:
        with pytest.raises(RecordTooLarge):
            await dlq.publish_failed_event({"x": "y" * 10_000_000}, ValueError(), 0)
        await dlq.publish_failed_event({}, ValueError(), 0)

    assert len(await _letters(broker, topics, 1)) == 1


async def test_an_error_text_of_any_characters_is_kept(broker: TestBroker, topics: TopicNames) -> None:
    """Half a surrogate pair in an exception must not lose the letter."""
    async with _queue(broker, topics) as dlq:
        await dlq.publish_failed_event({}, ValueError("bad \ud800 text"), 0)
    (letter,) = await _letters(broker, topics, 1)

    assert letter.error.message == "bad ? text"
