"""What every librdkafka client of ours shares: options, quiet logs, and the last thing that went wrong."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from workflow_events.settings import KafkaSettings

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

log = logging.getLogger(__name__)

MAX_RECORD_BYTES: Final = 64 * 1024 * 1024
"""Above what any topic of ours takes: the broker's limit is the one that counts, and it names itself."""

_SAY_AGAIN_AFTER: Final = 10.0

REFUSED: Final = frozenset(
    {
        "_AUTHENTICATION",
        "SASL_AUTHENTICATION_FAILED",
        "UNSUPPORTED_SASL_MECHANISM",
        "ILLEGAL_SASL_STATE",
        "TOPIC_AUTHORIZATION_FAILED",
        "CLUSTER_AUTHORIZATION_FAILED",
        "_SSL",
    }
)
"""Errors by name that no waiting mends: the broker is there and does not want us."""


_TOPIC_REFUSED: Final = "TOPIC_AUTHORIZATION_FAILED"


class LastError:
    """Remembers what a client last complained about, so that a timeout can say why."""

    def __init__(self) -> None:
        self._text: str | None = None
        self._refused: str | None = None
        self._topic_refused = False

    def __call__(self, error: "KafkaError") -> None:
        """librdkafka's `error_cb`."""
        self._text = error.str()
        if error.name() in REFUSED:
            self._refused = error.str()
            self._topic_refused = error.name() == _TOPIC_REFUSED
        log.debug("client error", extra={"action": "client_error", "kafka_error": error.name()})

    @property
    def refused(self) -> str | None:
        """Why the broker refused us, None as long as it has not."""
        return self._refused

    @property
    def hint(self) -> str:
        """The end of an error text: " (last error: ...)", or nothing. A refusal says more than the "brokers
        are down" that follows it.
        """
        return f" (last error: {self._refused or self._text})" if self._text else ""

    def clear(self, *, topic_too: bool = False) -> None:
        """Forget, after something went well. That the topic's records are refused to us is forgotten only
        with `topic_too`, when one has come: metadata may be had by those who may not read.
        """
        self._text = None
        if topic_too or not self._topic_refused:
            self._refused = None
            self._topic_refused = False


@contextmanager
def ctrl_c_kept() -> Iterator[None]:
    """Around a `poll` in the main thread. A KeyboardInterrupt that arrives while librdkafka calls our log or
    error callback is lost in confluent-kafka 2.16, whose `poll` then fails with a SystemError.
    """
    try:
        yield
    except SystemError as error:
        raise KeyboardInterrupt from error


class _ClientLog:
    """librdkafka's own warnings, in our log instead of on stderr: one of a kind each ten seconds, the
    rest at DEBUG (it may try to connect twenty times a second). Whether they are errors is for those to
    say who wait for an outcome, hence never above WARNING.
    """

    def __init__(self) -> None:
        self._said: dict[object, float] = {}

    def log(self, level: int, text: str, *args: object) -> None:
        """As `logging.Logger.log`. The first argument is the kind, such as FAIL."""
        kind, now = args[:1], time.monotonic()
        if now - self._said.get(kind, -_SAY_AGAIN_AFTER) < _SAY_AGAIN_AFTER:
            level = logging.DEBUG
        else:
            self._said[kind] = now
        log.log(min(level, logging.WARNING), text, *args, extra={"action": "client_log"})


def client_options(settings: KafkaSettings, last_error: LastError) -> dict[str, Any]:
    """Options for a producer or consumer. Contains the secrets: never log it."""
    return {
        "client.id": "langgraph-kafka",
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 2000,
        **settings.librdkafka(),
        "error_cb": last_error,
        "logger": _ClientLog(),
        "log_level": 4,
    }
