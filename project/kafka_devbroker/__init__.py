"""A Kafka broker for a laptop and for tests, in one line.

>>> with running_broker() as broker:                    # doctest: +SKIP
...     print(broker.backend, broker.bootstrap_servers)
"""

from kafka_devbroker.broker import BackendName, Broker
from kafka_devbroker.choice import available_backends, running_broker
from kafka_devbroker.errors import BrokerError, BrokerNotReady, BrokerUnavailable

__all__ = [
    "BackendName",
    "Broker",
    "BrokerError",
    "BrokerNotReady",
    "BrokerUnavailable",
    "available_backends",
    "running_broker",
]
