"""Guide: Retry Mechanism, Dead Letter Queue, DLQ Event Structure, Workflow Error Handling."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka import errors as kafka

from kafka_devbroker import Broker
from langgraph_integration.consumer import LangGraphKafkaConsumer
from langgraph_integration.dead_letter import DeadLetterQueue
from langgraph_integration.processor import WorkflowProcessor
from langgraph_integration.result_producer import ResultProducer
from langgraph_integration.retry import RetryConfig, is_transient_error, retry_async
from tests.fundamentals.asking import answer, publish, records_on
from workflow_events import WorkflowEvent
from workflow_events.settings import TopicNames

Serving = Callable[[LangGraphKafkaConsumer], Awaitable[None]]


class Flaky(WorkflowProcessor):
    """A processor whose first calls fail with the errors it is given."""

    def __init__(self, *failures: Exception) -> None:
        super().__init__()
        self.failures = list(failures)
        self.calls = 0

    async def process_workflow_event(self, event: WorkflowEvent) -> dict[str, Any]:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return await super().process_workflow_event(event)


async def test_a_transient_error_is_retried_with_the_printed_settings(event: WorkflowEvent) -> None:
    """The listing Retry Mechanism; the one failure costs the first delay, half of it to all of it."""
    processor = Flaky(ConnectionError("away"))
    clock = asyncio.get_running_loop()
    began = clock.time()

    from langgraph_integration.retry import RetryConfig, retry_async

    # Default retry configuration
    config = RetryConfig(
        max_retries=3,  # Maximum retry attempts
        initial_delay=1.0,  # Initial delay in seconds
        max_delay=60.0,  # Maximum delay cap
        exponential_base=2.0,  # Exponential backoff base
        jitter=True,  # Add random jitter to avoid thundering herd
    )

    # Retry async function with exponential backoff
    result = await retry_async(processor.process_workflow_event, event, config=config)

    assert result["completed"] is True
    assert processor.calls == 2
    assert 0.5 <= clock.time() - began < 5
    assert config == RetryConfig(), "the listing spells the defaults out"


def test_the_default_delays_are_one_two_and_four_seconds() -> None:
    """The list Retry Configuration; jitter takes up to half off, so that not all come back at once."""
    assert list(RetryConfig(jitter=False).delays()) == [1.0, 2.0, 4.0]
    for full, shortened in zip([1.0, 2.0, 4.0], RetryConfig().delays(), strict=True):
        assert full / 2 <= shortened <= full
    assert RetryConfig(jitter=False).delay(retry=10) == 60.0, "the cap"


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError(),
        TimeoutError(),
        OSError(),
        asyncio.TimeoutError(),
        kafka.KafkaTimeoutError(),
        kafka.KafkaConnectionError(),
        kafka.BrokerNotAvailableError(),
        kafka.LeaderNotAvailableError(),
        kafka.NotLeaderForPartitionError(),
        kafka.RequestTimedOutError(),
        kafka.CoordinatorNotAvailableError(),
        kafka.CoordinatorLoadInProgressError(),
        kafka.NotCoordinatorError(),
        kafka.GroupCoordinatorNotAvailableError(),
        kafka.NotEnoughReplicasError(),
        kafka.NotEnoughReplicasAfterAppendError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_transient_errors_of_the_guide_are_retried(error: Exception) -> None:
    """The list Error Classification, first half."""
    assert is_transient_error(error)


@pytest.mark.parametrize("error", [ValueError(), TypeError(), KeyError(), FileNotFoundError()], ids=repr)
async def test_permanent_errors_are_raised_after_one_call(error: Exception, event: WorkflowEvent) -> None:
    """The list Error Classification, second half; a missing file is permanent although it is an OSError."""
    processor = Flaky(error)

    with pytest.raises(type(error)):
        await retry_async(processor.process_workflow_event, event)
    assert processor.calls == 1


@pytest.mark.broker
@pytest.mark.xdist_group("localhost:9092")
async def test_a_failed_event_goes_to_the_dead_letter_queue(
    event: WorkflowEvent, localhost_9092: Broker
) -> None:
    """The listings Dead Letter Queue, word for word, and DLQ Event Structure."""
    exception = ConnectionError("Connection failed")

    from langgraph_integration.dead_letter import DeadLetterQueue

    # Initialize DLQ
    dlq = DeadLetterQueue(
        bootstrap_servers="localhost:9092",
        topic="workflow-events-dlq",  # Default: workflow-events-dlq
    )

    # Start DLQ producer
    await dlq.start()

    # Publish failed event
    await dlq.publish_failed_event(
        original_event=event.model_dump(mode="json"),
        error=exception,
        retry_count=3,
        context={"workflow_id": "test-workflow"},
    )

    # Stop DLQ producer
    await dlq.stop()

    [letter] = await records_on("workflow-events-dlq", 1)
    assert letter == {
        "dlq_id": letter["dlq_id"],
        "timestamp": letter["timestamp"],
        "original_event": event.model_dump(mode="json"),
        "error": {"type": "ConnectionError", "message": "Connection failed", "traceback": None},
        "retry_count": 3,
        "context": {"workflow_id": "test-workflow", "workflow_run_id": "run_123"},
    }


async def test_a_dead_letter_of_the_service_can_be_replayed(
    kafka_environment: TopicNames, serving: Serving
) -> None:
    """Beside the printed fields it says why, at which attempt, and has the record as it came."""
    consumer = LangGraphKafkaConsumer()
    consumer.processor = Flaky(ValueError("never"))
    await serving(consumer)

    event = await asyncio.to_thread(publish, "process_data")
    result = await answer(event.event_id)
    [letter] = await records_on(kafka_environment.dead_letters, 1)

    assert (result["status"], result["error"]) == ("error", "Processing failed after retries: never")
    assert (letter["reason"], letter["attempt"]) == ("permanent", 1)
    assert letter["origin"]["topic"] == kafka_environment.events
    assert letter["origin"]["value_b64"] is not None
    assert letter["context"] == {"workflow_id": "fundamentals", "workflow_run_id": "run_1"}


async def test_after_the_retries_a_dead_letter_and_an_error_result_are_written(
    event: WorkflowEvent, kafka_environment: TopicNames
) -> None:
    """The listing Workflow Error Handling, as a caller's code: what the service does by itself."""
    processor = Flaky(*[ConnectionError("away")] * 4)
    retry_config = RetryConfig(initial_delay=0.01)
    dlq, result_producer = DeadLetterQueue(), ResultProducer()
    await dlq.start()
    await result_producer.start()

    try:
        # Retry with exponential backoff
        result = await retry_async(processor.process_workflow_event, event, config=retry_config)
    except Exception as e:
        # Publish to dead letter queue
        await dlq.publish_failed_event(
            original_event=event.model_dump(mode="json"),
            error=e,
            retry_count=retry_config.max_retries,
            context={"workflow_id": event.workflow_id},
        )

        # Publish error result
        await result_producer.publish_result(
            correlation_id=event.event_id,
            workflow_id=event.workflow_id,
            workflow_run_id=event.workflow_run_id,
            result={},
            status="error",
            error=f"Processing failed after retries: {str(e)}",
        )
    else:
        pytest.fail(f"ended with {result}")

    await dlq.stop()
    await result_producer.stop()
    [letter] = await records_on(kafka_environment.dead_letters, 1)
    assert processor.calls == 4
    assert (letter["error"]["type"], letter["retry_count"]) == ("ConnectionError", 3)
    assert (await answer(event.event_id))["error"] == "Processing failed after retries: away"
