"""Monitoring: metrics, health and the start-up warnings of one service, opened and closed as one."""

import logging
import threading
from collections.abc import Callable
from typing import Self

from langgraph_integration.config import ConsumerConfig
from langgraph_integration.ops.http import HealthServer, health_app
from langgraph_integration.ops.metrics import MetricsPage
from langgraph_integration.ops.settings import HttpSettings
from langgraph_integration.ops.topic_size import TopicSize
from langgraph_integration.ops.topics import startup_warnings
from langgraph_integration.pipeline.status import ServiceStatus
from workflow_events.settings import TopicNames

log = logging.getLogger(__name__)


class Monitoring:
    """What a service shows of itself. Give `metrics.observe` to the consumer, then enter it.

    `status` is called from other threads than the service's. With port 0 nothing is served, and the
    broker is not asked for the size of the dead-letter topic.
    """

    def __init__(
        self,
        config: ConsumerConfig,
        http: HttpSettings,
        metrics: MetricsPage,
        status: Callable[[], ServiceStatus],
    ) -> None:
        self._config = config
        self._http = http
        self._size = TopicSize(config.kafka, config.dlq_topic)
        metrics.watch(status, self._size.latest)
        self._server = HealthServer(health_app(status, metrics), http)

    def __enter__(self) -> Self:
        """Serve health and metrics, and look at the topics beside. Raises `ConfigurationError`."""
        self._server.start()
        if self._http.port:
            self._size.start()
        threading.Thread(target=self._warn, name="startup-warnings", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()
        self._size.close()

    def _warn(self) -> None:
        config = self._config
        topics = TopicNames(config.topic, config.results_topic, config.dlq_topic)
        for warning in startup_warnings(config.kafka, topics):
            log.warning("%s", warning, extra={"action": "startup_warning"})
