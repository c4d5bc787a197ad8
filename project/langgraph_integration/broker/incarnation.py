"""Incarnation: which of the topics that bore the name is read.

aiokafka's protocol versions carry no topic id: deleted and made anew between two of its looks, a topic that
is longer than the old position would be read from the middle, and what lies before passed over in silence.
One that is not there any more looks to it like one that holds nothing new.
"""

import asyncio
import logging
import time

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from langgraph_integration.broker.aside import aside
from workflow_events.errors import BrokerUnavailable
from workflow_events.librdkafka import LastError, client_options
from workflow_events.settings import KafkaSettings

log = logging.getLogger(__name__)

_ASK_S = 3.0
_LOOK_S = 10.0
_LOOK_FOR_MISSING_S = 1.0
_NO_ID = "A" * 22  # sixteen zero bytes in base64


class Incarnation:
    """Looks the topic's id up now and then, and refuses to go on under another one than was placed."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        self._looked_at = time.monotonic()
        self._looking: asyncio.Task[str | None] | None = None
        self._found: str | None = None
        self._missing = False
        self.placed: str | None = None
        """The id that the partitions were placed under; None where it is not known."""

    async def learn(self) -> str | None:
        """The topic's id now; None where the topic is not there, or the broker does not tell."""
        self._looked_at = time.monotonic()
        try:
            found = await aside(_topic_id, self._settings, self._topic)
        except (KafkaException, TimeoutError, BrokerUnavailable) as error:
            # what was found before stands: a broker that is away does not make it the old topic again
            log.debug("the topic's id is not known: %s", error, extra={"action": "topic_id_unknown"})
            self._missing = _says_that_it_is_missing(error) or self._missing
            return None
        self._missing = False
        self._found = found
        self.placed = self.placed or found
        return found

    def look(self) -> None:
        """Begin to look whether it is still the same one, if that is due."""
        due = time.monotonic() - self._looked_at > (_LOOK_FOR_MISSING_S if self._missing else _LOOK_S)
        if due and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self.learn(), name="topic-id")

    def refuse_wrong(self) -> None:
        """Raise `BrokerUnavailable` if the topic is not there, or is another than the one that was placed."""
        if self._missing:
            raise BrokerUnavailable(
                f"{self._topic} is not there: it was deleted, or has not been made yet. "
                "There is nothing to read until somebody makes it"
            )
        self.refuse_another()

    def refuse_another(self, marked: str | None = None) -> None:
        """Raise `BrokerUnavailable` if it is known to be another topic than the one that was placed, or than
        the one that a commit is `marked` with.
        """
        before = marked or self.placed
        if before is not None and self._found is not None and before != self._found:
            raise BrokerUnavailable(
                f"{self._topic} was deleted and made anew (its id was {before} and is {self._found}): the "
                "group's offsets are those of the old one. Nothing is skipped silently: stop the workers, "
                "set the offsets with kafka-consumer-groups.sh --reset-offsets (--to-earliest reads the new "
                "topic from its beginning), and start them again"
            )


def _says_that_it_is_missing(error: Exception) -> bool:
    told = error.args[0] if error.args else None
    return isinstance(told, KafkaError) and told.code() == KafkaError.UNKNOWN_TOPIC_OR_PART


def _topic_id(settings: KafkaSettings, topic: str) -> str | None:
    admin = AdminClient(client_options(settings, LastError()))
    described = admin.describe_topics(TopicCollection([topic]), request_timeout=_ASK_S)
    found = str(described[topic].result(2 * _ASK_S).topic_id)
    return None if found == _NO_ID else found
