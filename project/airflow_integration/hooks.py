"""Where Kafka is, as Airflow knows it."""

from collections.abc import Mapping
from typing import Any, Final

from airflow_integration.airflow_compat import AirflowNotFoundException, KafkaBaseHook
from workflow_events.exchange import ReceivedResult, ResultExchange
from workflow_events.settings import KafkaSettings, environment_text

_NOT_OURS: Final = frozenset(
    {
        "group.id",
        "auto.offset.reset",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "group.instance.id",
        "session.timeout.ms",
        "heartbeat.interval.ms",
        "max.poll.interval.ms",
        "partition.assignment.strategy",
        "enable.idempotence",
        "transactional.id",
    }
)
"""Options of a connection that are about consumer groups or transactions: we use neither."""

_SHIPPED_EXAMPLE: Final = {"bootstrap.servers": "broker:29092", "group.id": "my-group"}
"""The `kafka_default` that Airflow itself creates in a new database: nobody's real broker."""


class WorkflowKafkaHook(KafkaBaseHook):
    """The Kafka provider's connection, as settings of our clients.

    `kafka_config_id` None: `KAFKA_BOOTSTRAP_SERVERS` and its companions where that is set, else the
    connection `kafka_default`, else `localhost:9092`. A connection that is named must exist.
    """

    def __init__(self, kafka_config_id: str | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(kafka_config_id or self.default_conn_name, *args, **kwargs)
        self._named = kafka_config_id is not None

    def settings(self) -> KafkaSettings:
        """How to reach the brokers. Every option of the connection's extras is kept (SASL, TLS, token
        callbacks), except those of consumer groups and transactions. May ask Airflow's database.
        """
        if not self._named and environment_text("KAFKA_BOOTSTRAP_SERVERS"):
            return KafkaSettings.from_env()
        try:
            extras = self.get_connection(self.kafka_config_id).extra_dejson
            if not self._named and extras == _SHIPPED_EXAMPLE:
                return KafkaSettings.from_env()
            options = self._build_config()
        except AirflowNotFoundException:
            if self._named:
                raise
            return KafkaSettings.from_env()
        return KafkaSettings(
            bootstrap_servers=options["bootstrap.servers"],
            client_options={name: value for name, value in options.items() if name not in _NOT_OURS},
        )

    def read_result(self, reference: Mapping[str, Any], timeout: float = 30) -> ReceivedResult:
        """The result that a reference stands for (`topic`, `partition`, `offset`; also as the value of a
        key "reference"). Raises LookupError if it is no longer there, `ResultsUnavailable` if no broker
        answers within `timeout` seconds.
        """
        place = reference.get("reference", reference)
        with ResultExchange(settings=self.settings(), topic=place["topic"]) as exchange:
            received = exchange.read_at(place["partition"], place["offset"], timeout)
        if received is None:
            raise LookupError(
                f"there is no result at {place['topic']}:{place['partition']}:{place['offset']}"
            )
        return received
