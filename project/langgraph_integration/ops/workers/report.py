"""What a worker tells its supervisor when asked, and how the reports of several become one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from langgraph_integration.config import ConsumerConfig
from langgraph_integration.ops.metric_table import METRICS, MetricName
from langgraph_integration.ops.metrics import MetricsPage
from langgraph_integration.ops.settings import LogSettings
from langgraph_integration.pipeline.delivery import Partition
from langgraph_integration.pipeline.status import ServiceStatus

N = TypeVar("N", int, float)
SampleKey = tuple[str, tuple[tuple[str, str], ...]]
_OF_THE_OLDEST = ("_created", "_start_time_seconds")
_COUNTED = ("counter", "histogram")


@dataclass(frozen=True, slots=True)
class WorkerTask:
    """What a worker is told first: its number, from 1, and its settings, secrets included."""

    number: int
    config: ConsumerConfig
    log: LogSettings


@dataclass(frozen=True, slots=True)
class Report:
    """One look at one worker; `families` are its counters and what its process uses."""

    question: int
    status: ServiceStatus
    families: Sequence[Family]


def together(statuses: Mapping[int, ServiceStatus], *, stopping: bool) -> ServiceStatus:
    """The status of all workers, by number, as of one service: amounts added up, ages the worst.

    Workers that have not started, or start again, hold no partition and are left out while others run.
    """
    running = {number: each for number, each in statuses.items() if each.running}
    if not running:
        return ServiceStatus(stopping=stopping, workers=len(statuses))
    of = list(running.values())
    return ServiceStatus(
        started_at=min((each.started_at for each in of if each.started_at), default=None),
        running=True,
        stopping=stopping,
        joined=any(each.joined for each in of),
        last_poll_age_s=_worst(each.last_poll_age_s for each in of),
        last_commit_age_s=_worst(each.last_commit_age_s for each in of),
        partitions=tuple(sorted({each for status in of for each in status.partitions}, key=_order)),
        lags=_largest([each.lags for each in of]),
        oldest_unsettled_s=_largest([each.oldest_unsettled_s for each in of]),
        in_flight=sum(each.in_flight for each in of),
        waiting=sum(each.waiting for each in of),
        slots=sum(each.slots for each in of),
        slots_taken=sum(each.slots_taken for each in of),
        sync_threads=sum(each.sync_threads for each in of),
        busy_threads=sum(each.busy_threads for each in of),
        overdue_threads=sum(each.overdue_threads for each in of),
        gate_reasons={
            what: f"{cause} (worker {number})"
            for number, each in running.items()
            for what, cause in each.gate_reasons.items()
        },
        limit_tripped=any(each.limit_tripped for each in of),
        held_by_errors=any(each.held_by_errors for each in of),
        commonest_error=next((each.commonest_error for each in of if each.commonest_error), None),
        main_loop_beat_s=_worst(each.main_loop_beat_s for each in of),
        main_loop_worst_lag_s=max(each.main_loop_worst_lag_s for each in of),
        kafka_loop_beat_s=_worst(each.kafka_loop_beat_s for each in of),
        kafka_loop_worst_lag_s=max(each.kafka_loop_worst_lag_s for each in of),
        blocked_by=next((each.blocked_by for each in of if each.blocked_by), None),
        workers=len(statuses),
    )


def silent_for(status: ServiceStatus, seconds: float) -> ServiceStatus:
    """The last known status of a worker that does not answer: all its ages have grown since."""
    return replace(
        status,
        last_poll_age_s=_grown(status.last_poll_age_s, seconds),
        last_commit_age_s=_grown(status.last_commit_age_s, seconds),
        oldest_unsettled_s={where: age + seconds for where, age in status.oldest_unsettled_s.items()},
        main_loop_beat_s=_grown(status.main_loop_beat_s, seconds),
        kafka_loop_beat_s=_grown(status.kafka_loop_beat_s, seconds),
    )


class Totals(Collector):
    """The counters of all workers added up, those of workers that have ended included."""

    def __init__(self) -> None:
        self._latest: dict[int, Sequence[Family]] = {}
        self._ended: dict[SampleKey, float] = {}
        self._shapes: dict[str, Family] = {}
        self.restarts = 0

    def update(self, number: int, families: Sequence[Family]) -> None:
        """A worker's counters as of now."""
        self._latest[number] = families
        self._shapes |= {family.name: family for family in families}

    def end(self, number: int) -> None:
        """The worker has ended: what it last told stays counted, what its process used does not."""
        families = [family for family in self._latest.pop(number, ()) if family.type in _COUNTED]
        self._ended = _added([self._ended, _values(families)])

    def collect(self) -> Iterable[Family]:
        """One family for each of a worker's."""
        values = _added([self._ended, *map(_values, self._latest.values())])
        restarts = METRICS[MetricName.WORKER_RESTARTS].name
        if (restarts, ()) in values:
            values[restarts, ()] = self.restarts
        for shape in self._shapes.values():
            family = Family(shape.name, shape.documentation, shape.type)
            names = {sample.name for sample in shape.samples}
            for (name, labels), value in values.items():
                if name in names or name.startswith(f"{shape.name}_"):
                    family.add_sample(name, dict(labels), value)
            yield family


class CrewMetrics(MetricsPage):
    """The page of all workers: `totals`, and the gauges of whatever status is watched."""

    def __init__(self) -> None:
        super().__init__()
        self.totals = Totals()
        self.registry.register(self.totals)


def _values(families: Iterable[Family]) -> dict[SampleKey, float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def _added(parts: Iterable[Mapping[SampleKey, float]]) -> dict[SampleKey, float]:
    total: dict[SampleKey, float] = {}
    for part in parts:
        for key, value in part.items():
            if key not in total:
                total[key] = value
            elif key[0].endswith(_OF_THE_OLDEST):
                total[key] = min(total[key], value)
            else:
                total[key] += value
    return total


def _largest(parts: Sequence[Mapping[Partition, N]]) -> dict[Partition, N]:
    # while a partition moves, two workers may tell of it
    return {where: max(part[where] for part in parts if where in part) for part in parts for where in part}


def _worst(ages: Iterable[float | None]) -> float | None:
    return max((age for age in ages if age is not None), default=None)


def _grown(age: float | None, seconds: float) -> float | None:
    return None if age is None else age + seconds


def _order(partition: Partition) -> tuple[str, int]:
    return partition.topic, partition.number
