"""DeadLetterQueue: keeps events that could not be answered, so that they can be understood and replayed."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from langgraph_integration.broker.topic_publisher import TopicPublisher
from workflow_events.codec import encode
from workflow_events.dead_letter import DeadLetterError, DeadLetterEvent
from workflow_events.ids import dead_letter_id
from workflow_events.settings import KafkaSettings, TopicNames


class DeadLetterQueue(TopicPublisher):
    """An asynchronous producer of dead letters.

    `bootstrap_servers` and `topic`: `None` takes `KAFKA_BOOTSTRAP_SERVERS` and `KAFKA_DLQ_TOPIC`.
    `producer` is `None` before `start` and after `stop`.
    """

    not_started = "DLQ producer not started. Call start() first."

    def __init__(
        self,
        bootstrap_servers: str | None = None,
        topic: str | None = None,
        *,
        settings: KafkaSettings | None = None,
    ) -> None:
        super().__init__(bootstrap_servers, TopicNames.from_env(dead_letters=topic).dead_letters, settings)

    async def publish_failed_event(
        self,
        original_event: dict[str, Any] | None,
        error: Exception,
        retry_count: int,
        context: dict[str, Any] | None = None,
    ) -> None:
        """Publish one dead letter; returns once the broker has acknowledged it.

        `retry_count` is the number of retries that really happened; `context` names `workflow_id` and
        `workflow_run_id`, taken from the event where it does not. Raises RuntimeError before `start`,
        `NotJson`, `RecordTooLarge`, and `BrokerUnavailable`, after which publishing again is safe.
        """
        original = original_event or {}
        event_id = _uuid(original.get("event_id"))
        ids = {name: original.get(name) for name in ("workflow_id", "workflow_run_id")}
        letter = DeadLetterEvent(
            dlq_id=dead_letter_id(event_id, 1) if event_id else uuid4(),
            timestamp=datetime.now(UTC),
            original_event=original_event,
            error=DeadLetterError.of(error),
            retry_count=retry_count,
            context={**ids, **(context or {})},
        )
        await self.publish_record(str(event_id).encode() if event_id else None, encode(letter))


def _uuid(text: object) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None
