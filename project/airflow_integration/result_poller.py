"""Waits for a workflow's result, for tasks that have nothing else to do meanwhile."""

from typing import Any
from uuid import UUID

from workflow_events.errors import ConfigurationError
from workflow_events.exchange import ResultExchange
from workflow_events.settings import KafkaSettings, TopicNames


class WorkflowResultPoller:
    """Finds the result of an event by its id, whether it is published already or still to come.

    `timeout` is in seconds. `poll_interval` (s) is the longest a result may stand unseen; it is normally
    seen at once. `settings` replaces `bootstrap_servers` and the environment. Nothing is connected
    between two calls.
    """

    def __init__(
        self,
        bootstrap_servers: str | None = None,
        topic: str | None = None,
        timeout: float = 300,
        poll_interval: float = 1.0,
        *,
        settings: KafkaSettings | None = None,
    ) -> None:
        if poll_interval <= 0:
            raise ConfigurationError(f"poll_interval is {poll_interval}; expected seconds above 0")
        self._settings = settings or KafkaSettings.from_env(bootstrap_servers)
        self.bootstrap_servers = self._settings.bootstrap_servers
        self.topic = TopicNames.from_env(results=topic).results
        self.timeout = timeout
        self.poll_interval = poll_interval

    def poll_for_result(
        self, correlation_id: UUID | str, workflow_id: str | None = None
    ) -> dict[str, Any] | None:
        """The result's record as a dict, whatever its status; None at the timeout.

        The event's own id is what to ask for. A result of another `workflow_id` is passed over, a record
        that is no result is skipped with a warning. A success counts before the failures of earlier
        attempts. Raises `BrokerUnavailable` (also a KafkaException) if the brokers refuse us, or cannot
        be reached; None means that the topic was looked through, or does not exist yet.
        """
        with ResultExchange(
            topic=self.topic, settings=self._settings, poll_interval=self.poll_interval
        ) as exchange:
            found = exchange.wait(correlation_id, self.timeout, workflow_id=workflow_id, fail_fast=True)
        return None if found is None else found.record
