"""Inquiry: why the brokers do not answer, as a client hears it that asks them now."""

import asyncio

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from langgraph_integration.broker.aside import aside
from workflow_events.errors import BrokerUnavailable
from workflow_events.librdkafka import LastError, client_options
from workflow_events.settings import KafkaSettings

_ASK_S = 3.0


class Inquiry:
    """aiokafka only logs why it cannot connect; whoever reads /readyz must hear of a wrong password, too."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._asking: asyncio.Task[None] | None = None
        self.answer = ""
        """ " (last error: ...)", or nothing."""

    def ask(self) -> None:
        """Begin to ask, unless that is under way. `answer` follows within seconds."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(), name="inquiry")

    async def _ask(self) -> None:
        try:
            self.answer = await aside(_what_a_client_hears, self._settings)
        except BrokerUnavailable as error:
            self.answer = f" ({error})"


def _what_a_client_hears(settings: KafkaSettings) -> str:
    last_error = LastError()
    admin = AdminClient(client_options(settings, last_error))
    try:
        admin.list_topics(timeout=_ASK_S)
    except KafkaException:
        admin.poll(0)
    return last_error.hint
