"""Every metric by name: the one table that the code, docs/metrics.md and docs/alerts.yml go by."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, get_args

from workflow_events.dead_letter import DeadLetterReason

Kind = Literal["counter", "gauge", "histogram"]


class MetricName(StrEnum):
    """The names as Prometheus shows them. They are an interface: alerts and dashboards refer to them."""

    EVENTS = "langgraph_kafka_events_total"
    IGNORED = "langgraph_kafka_records_ignored_total"
    DEAD_LETTERS = "langgraph_kafka_dead_letters_total"
    RETRIES = "langgraph_kafka_retries_total"
    RUNS_STARTED = "langgraph_kafka_runs_started_total"
    TAKEOVERS = "langgraph_kafka_takeovers_total"
    RUN_DURATION = "langgraph_kafka_run_duration_seconds"
    DEAD_LETTER_TOPIC_SIZE = "langgraph_kafka_dead_letter_topic_records"
    LAG = "langgraph_kafka_lag_records"
    OLDEST_UNSETTLED = "langgraph_kafka_oldest_unsettled_seconds"
    WORKERS = "langgraph_kafka_workers"
    WORKER_RESTARTS = "langgraph_kafka_worker_restarts_total"
    ASSIGNED = "langgraph_kafka_assigned_partitions"
    IN_FLIGHT = "langgraph_kafka_in_flight"
    WAITING = "langgraph_kafka_waiting"
    SLOTS_TAKEN = "langgraph_kafka_slots_taken"
    SLOTS = "langgraph_kafka_slots"
    BUSY_THREADS = "langgraph_kafka_busy_threads"
    THREADS = "langgraph_kafka_threads"
    OVERDUE_THREADS = "langgraph_kafka_overdue_threads"
    LAST_POLL_AGE = "langgraph_kafka_last_poll_age_seconds"
    LAST_COMMIT_AGE = "langgraph_kafka_last_commit_age_seconds"
    LOOP_LAG = "langgraph_kafka_loop_lag_seconds"
    LOOP_WORST_LAG = "langgraph_kafka_loop_worst_lag_seconds"
    INTAKE_PAUSED = "langgraph_kafka_intake_paused"
    LIMIT_TRIPPED = "langgraph_kafka_dead_letter_limit_tripped"
    LIVE = "langgraph_kafka_live"
    READY = "langgraph_kafka_ready"
    START_TIME = "langgraph_kafka_start_time_seconds"


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table."""

    name: MetricName
    kind: Kind
    unit: str
    help: str
    labels: tuple[str, ...] = ()


_ROWS = (
    Metric(
        MetricName.EVENTS,
        "counter",
        "verdicts",
        "Verdicts acknowledged by the broker, by status; a verdict repeated for a new ask counts again.",
        ("status",),
    ),
    Metric(
        MetricName.IGNORED,
        "counter",
        "records",
        "Records that ask for no run: other event types, redeliveries, asks absorbed by a live run.",
        ("why",),
    ),
    Metric(
        MetricName.DEAD_LETTERS,
        "counter",
        "records",
        "Dead letters written, by reason (docs/alerts.yml watches their rate).",
        ("reason",),
    ),
    Metric(
        MetricName.RETRIES,
        "counter",
        "retries",
        "Retries planned after a transient error, by the error's class name.",
        ("error_type",),
    ),
    Metric(
        MetricName.RUNS_STARTED, "counter", "tries", "Tries of a graph that were begun, retries included."
    ),
    Metric(
        MetricName.TAKEOVERS,
        "counter",
        "tries",
        "Tries that went on where another worker, or an earlier life of this one, had stopped.",
    ),
    Metric(
        MetricName.RUN_DURATION,
        "histogram",
        "seconds",
        "From the claim of a run to its acknowledged verdict, retries and their waits included.",
        ("status",),
    ),
    Metric(
        MetricName.DEAD_LETTER_TOPIC_SIZE,
        "gauge",
        "records",
        "Records on the dead-letter topic, looked up every 30 s; absent while the topic cannot be read.",
    ),
    Metric(
        MetricName.LAG,
        "gauge",
        "records",
        "Records between this worker's position and the end of a partition it is assigned.",
        ("topic", "partition"),
    ),
    Metric(
        MetricName.OLDEST_UNSETTLED,
        "gauge",
        "seconds",
        "Age of the oldest event taken from a partition and not settled yet.",
        ("topic", "partition"),
    ),
    Metric(
        MetricName.WORKERS,
        "gauge",
        "processes",
        "Worker processes that run; the figures on this page are those of all of them together.",
    ),
    Metric(
        MetricName.WORKER_RESTARTS,
        "counter",
        "restarts",
        "Worker processes that ended unasked and were started again by `serve`.",
    ),
    Metric(MetricName.ASSIGNED, "gauge", "partitions", "Partitions that this worker is assigned."),
    Metric(MetricName.IN_FLIGHT, "gauge", "events", "Events that were started and are not settled."),
    Metric(MetricName.WAITING, "gauge", "events", "Events that were polled and wait for a slot."),
    Metric(MetricName.SLOTS_TAKEN, "gauge", "slots", "Slots in use."),
    Metric(MetricName.SLOTS, "gauge", "slots", "Slots there are (WORKFLOW_MAX_CONCURRENCY)."),
    Metric(MetricName.BUSY_THREADS, "gauge", "threads", "Threads that a synchronous node occupies."),
    Metric(MetricName.THREADS, "gauge", "threads", "Threads for synchronous nodes (WORKFLOW_SYNC_THREADS)."),
    Metric(
        MetricName.OVERDUE_THREADS,
        "gauge",
        "threads",
        "Synchronous nodes that go on although their run's time is over; each keeps its slot.",
    ),
    Metric(
        MetricName.LAST_POLL_AGE,
        "gauge",
        "seconds",
        "Time since a broker last answered: a fetch, or the question for the ends, asked every 5 s.",
    ),
    Metric(
        MetricName.LAST_COMMIT_AGE,
        "gauge",
        "seconds",
        "Time since offsets were last known to be committed; small while nothing is to be committed.",
    ),
    Metric(
        MetricName.LOOP_LAG,
        "gauge",
        "seconds",
        "Time since an event loop last showed life; `graphs` runs the graphs, `kafka` the clients.",
        ("loop",),
    ),
    Metric(
        MetricName.LOOP_WORST_LAG,
        "gauge",
        "seconds",
        "The longest an event loop was ever late.",
        ("loop",),
    ),
    Metric(
        MetricName.INTAKE_PAUSED,
        "gauge",
        "1 = paused",
        "Who pauses the intake; the cause is in /readyz.",
        ("what",),
    ),
    Metric(
        MetricName.LIMIT_TRIPPED,
        "gauge",
        "1 = tripped",
        "Whether too many runs ended in dead letters (WORKFLOW_DEAD_LETTER_LIMIT).",
    ),
    Metric(MetricName.LIVE, "gauge", "1 = yes", "What /livez says."),
    Metric(MetricName.READY, "gauge", "1 = yes", "What /readyz says."),
    Metric(MetricName.START_TIME, "gauge", "Unix time", "When the service was started."),
)

METRICS: dict[MetricName, Metric] = {row.name: row for row in _ROWS}


def metrics_page() -> str:
    """docs/metrics.md, whole. `python -m langgraph_integration.ops.metric_table` prints it."""
    rows = "\n".join(
        f"| `{row.name}` | {row.kind} | {', '.join(f'`{label}`' for label in row.labels) or '-'} "
        f"| {row.unit} | {row.help} |"
        for row in METRICS.values()
    )
    reasons = ", ".join(f"`{reason}`" for reason in get_args(DeadLetterReason))
    return _PAGE.format(rows=rows, reasons=reasons)


_PAGE = """# Metrics

<!-- Made by `python -m langgraph_integration.ops.metric_table`; edit the table there. -->

Served as `http://127.0.0.1:8090/metrics` in the format of Prometheus (`WORKFLOW_HTTP_HOST`,
`WORKFLOW_HTTP_PORT`; port 0 switches it off), beside `/livez` and `/readyz`, from a thread of its own: a
graph that blocks its event loop is seen there and does not hide it. Rules for alerts are in
[alerts.yml](alerts.yml). Beside this table there are the usual `process_*` metrics (memory, CPU, open files).

| name | kind | labels | unit | meaning |
|---|---|---|---|---|
{rows}

Statuses: `success`, `failure` (finished, and the request cannot be met), `error` (not finished).
Reasons of dead letters: {reasons}.
The counters of statuses and reasons are there from the start, with 0; those of other labels appear with
what they first count.
"""


if __name__ == "__main__":
    import sys

    sys.stdout.write(metrics_page())
