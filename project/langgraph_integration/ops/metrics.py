"""Metrics for Prometheus: counters fed by happenings, gauges read from the status at each scrape."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar, assert_never, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from langgraph_integration.ops.metric_table import METRICS, MetricName
from langgraph_integration.pipeline.happenings import (
    Happening,
    RecordIgnored,
    RetryPlanned,
    RunStarted,
    VerdictPublished,
)
from langgraph_integration.pipeline.status import ServiceStatus, liveness, readiness
from workflow_events.dead_letter import DeadLetterReason
from workflow_events.schema import ResultStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)  # seconds
_MOST_ERROR_TYPES = 100  # an exception class made at run time must not grow the series without bound
_OTHER = "other"

_Metric = TypeVar("_Metric", Counter, Histogram)

Sample = tuple[MetricName, tuple[str, ...], float]


class MetricsPage:
    """What Prometheus can scrape. Its registry is its own: several can live."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)

    def watch(
        self,
        status: Callable[[], ServiceStatus],
        dead_letter_topic_size: Callable[[], int | None] = lambda: None,
    ) -> None:
        """Read the gauges from these at each scrape; a size of `None` is unknown and left out."""
        self.registry.register(_StatusGauges(status, dead_letter_topic_size))

    def page(self) -> bytes:
        """What /metrics answers, in Prometheus' text format."""
        return generate_latest(self.registry)


class Metrics(MetricsPage):
    """An observer of the pipeline. Counters begin with the object and may be fed from any thread."""

    def __init__(self) -> None:
        super().__init__()
        counters = {
            name: _counter(name, self.registry) for name, row in METRICS.items() if row.kind == "counter"
        }
        self._runs_started = counters[MetricName.RUNS_STARTED]
        self._takeovers = counters[MetricName.TAKEOVERS]
        self._retries = _Series(counters[MetricName.RETRIES])
        self._events = _Series(counters[MetricName.EVENTS], get_args(ResultStatus))
        self._dead_letters = _Series(counters[MetricName.DEAD_LETTERS], get_args(DeadLetterReason))
        self._ignored = _Series(counters[MetricName.IGNORED])
        duration = METRICS[MetricName.RUN_DURATION]
        self._durations = _Series(
            Histogram(duration.name, duration.help, duration.labels, buckets=_BUCKETS, registry=self.registry)
        )
        self._error_types: set[str] = set()
        ProcessCollector(registry=self.registry)

    def observe(self, happening: Happening) -> None:
        """Count what happened; an `Observer`."""
        match happening:
            case RunStarted(takeover=takeover):
                self._runs_started.inc()
                if takeover:
                    self._takeovers.inc()
            case RetryPlanned(error_type=error_type):
                self._retries[self._bounded(error_type)].inc()
            case VerdictPublished(status=status, reason=reason, duration_s=duration_s):
                self._events[status].inc()
                if reason is not None:
                    self._dead_letters[reason].inc()
                if duration_s > 0:
                    self._durations[status].observe(duration_s)
            case RecordIgnored(why=why):
                self._ignored[why].inc()
            case _:
                assert_never(happening)

    def _bounded(self, error_type: str) -> str:
        if error_type not in self._error_types and len(self._error_types) >= _MOST_ERROR_TYPES:
            return _OTHER
        self._error_types.add(error_type)
        return error_type


class _Series(dict[str, _Metric]):
    """The series of a metric with one label, by the label's value; made when first asked for.

    Those of `known` values are there from the start: Prometheus takes what a series appears with for no
    increase, and after a bad deploy that may be a hundred.

    prometheus_client's own `labels` takes a lock and checks its arguments at each call.
    """

    def __init__(self, metric: _Metric, known: Iterable[str] = ()) -> None:
        super().__init__()
        self._metric: _Metric = metric
        self.update((value, metric.labels(value)) for value in known)

    def __missing__(self, value: str) -> _Metric:
        series = self[value] = self._metric.labels(value)
        return series


class _StatusGauges(Collector):
    """One look at the status makes all gauges, so that they fit each other."""

    def __init__(
        self, status: Callable[[], ServiceStatus], dead_letter_topic_size: Callable[[], int | None]
    ) -> None:
        self._status = status
        self._dead_letter_topic_size = dead_letter_topic_size

    def collect(self) -> Iterable[GaugeMetricFamily]:
        families = {
            name: GaugeMetricFamily(name, row.help, labels=row.labels)
            for name, row in METRICS.items()
            if row.kind == "gauge"
        }
        for name, labels, value in self._samples():
            families[name].add_metric(labels, value)
        return families.values()

    def _samples(self) -> Iterator[Sample]:
        size = self._dead_letter_topic_size()
        if size is not None:
            yield MetricName.DEAD_LETTER_TOPIC_SIZE, (), size
        yield from samples(self._status())


def samples(status: ServiceStatus) -> Iterator[Sample]:
    """The gauges of one look at the service; what is unknown is left out."""
    yield MetricName.WORKERS, (), status.workers
    yield MetricName.ASSIGNED, (), len(status.partitions)
    yield MetricName.IN_FLIGHT, (), status.in_flight
    yield MetricName.WAITING, (), status.waiting
    yield MetricName.SLOTS, (), status.slots
    yield MetricName.SLOTS_TAKEN, (), status.slots_taken
    yield MetricName.THREADS, (), status.sync_threads
    yield MetricName.BUSY_THREADS, (), status.busy_threads
    yield MetricName.OVERDUE_THREADS, (), status.overdue_threads
    yield MetricName.LIMIT_TRIPPED, (), status.limit_tripped
    yield MetricName.LIVE, (), not liveness(status)
    yield MetricName.READY, (), not readiness(status)
    for partition, lag in status.lags.items():
        yield MetricName.LAG, (partition.topic, str(partition.number)), lag
    for partition, age_s in status.oldest_unsettled_s.items():
        yield MetricName.OLDEST_UNSETTLED, (partition.topic, str(partition.number)), age_s
    for what in status.gate_reasons:
        yield MetricName.INTAKE_PAUSED, (what,), 1
    yield from _ages(status)


def _ages(status: ServiceStatus) -> Iterator[Sample]:
    maybe: tuple[tuple[MetricName, tuple[str, ...], float | None], ...] = (
        (MetricName.LAST_POLL_AGE, (), status.last_poll_age_s),
        (MetricName.LAST_COMMIT_AGE, (), status.last_commit_age_s),
        (MetricName.LOOP_LAG, ("graphs",), status.main_loop_beat_s),
        (MetricName.LOOP_LAG, ("kafka",), status.kafka_loop_beat_s),
        (MetricName.START_TIME, (), status.started_at.timestamp() if status.started_at else None),
    )
    yield from ((name, labels, value) for name, labels, value in maybe if value is not None)
    yield MetricName.LOOP_WORST_LAG, ("graphs",), status.main_loop_worst_lag_s
    yield MetricName.LOOP_WORST_LAG, ("kafka",), status.kafka_loop_worst_lag_s


def _counter(name: MetricName, registry: CollectorRegistry) -> Counter:
    row = METRICS[name]
    return Counter(row.name, row.help, row.labels, registry=registry)
