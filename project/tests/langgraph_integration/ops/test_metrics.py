"""Metrics by name: counted, documented and watched by alerts."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from prometheus_client.parser import text_string_to_metric_families

from langgraph_integration.ops.metric_table import METRICS, MetricName, metrics_page
from langgraph_integration.ops.metrics import Metrics
from langgraph_integration.pipeline.delivery import Partition
from langgraph_integration.pipeline.happenings import (
    RecordIgnored,
    RetryPlanned,
    RunStarted,
    VerdictPublished,
)
from langgraph_integration.pipeline.status import ServiceStatus
from workflow_events.dead_letter import DeadLetterReason
from workflow_events.schema import ResultStatus

DOCS = Path(__file__).parents[4] / "docs"


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    """One value of the page, None if it is not there."""
    for family in text_string_to_metric_families(metrics.page().decode()):
        for each in family.samples:
            if each.name == name and each.labels == labels:
                return float(each.value)
    return None


def test_the_page_in_the_docs_is_the_table() -> None:
    """`python -m langgraph_integration.ops.metric_table > docs/metrics.md` after a change."""
    assert (DOCS / "metrics.md").read_text(encoding="utf-8") == metrics_page()


def test_every_name_has_a_row_and_a_meaning() -> None:
    """A metric that nobody explains is of no use."""
    assert set(METRICS) == set(MetricName)
    assert [name for name, row in METRICS.items() if len(row.help) < 10] == []


def test_the_alerts_watch_only_metrics_that_exist() -> None:
    """A rule over a misspelt name never fires."""
    named = set(re.findall(r"langgraph_kafka_[a-z_]+", (DOCS / "alerts.yml").read_text(encoding="utf-8")))

    assert named
    assert named - {name.value for name in MetricName} == set()


def test_alerts_cover_dead_letters_errors_and_lag() -> None:
    """What the guide asks for under "Monitoring and Alerting"."""
    text = (DOCS / "alerts.yml").read_text(encoding="utf-8")
    expressions = "".join(re.findall(r"expr:(.*?)for:", text, flags=re.DOTALL))

    for name in (
        MetricName.DEAD_LETTERS,
        MetricName.DEAD_LETTER_TOPIC_SIZE,
        MetricName.EVENTS,
        MetricName.LAG,
    ):
        assert name in expressions


def test_verdicts_are_counted_by_status_and_dead_letters_by_reason() -> None:
    """A failure has no dead letter; an error has one."""
    metrics = Metrics()
    metrics.observe(VerdictPublished("a", "success", None, 0.2))
    metrics.observe(VerdictPublished("b", "failure", None, 0.2))
    metrics.observe(VerdictPublished("c", "error", "timeout", 300.0))
    metrics.observe(VerdictPublished(None, "error", "invalid", 0.0))

    assert sample(metrics, MetricName.EVENTS, status="success") == 1
    assert sample(metrics, MetricName.EVENTS, status="error") == 2
    assert sample(metrics, MetricName.DEAD_LETTERS, reason="timeout") == 1
    assert sample(metrics, MetricName.DEAD_LETTERS, reason="invalid") == 1


def test_durations_are_of_runs_only() -> None:
    """What was refused without a run would pull the median down."""
    metrics = Metrics()
    metrics.observe(VerdictPublished("a", "error", "permanent", 7.0))
    metrics.observe(VerdictPublished(None, "error", "invalid", 0.0))

    assert sample(metrics, f"{MetricName.RUN_DURATION}_count", status="error") == 1
    assert sample(metrics, f"{MetricName.RUN_DURATION}_sum", status="error") == 7.0


def test_every_status_and_reason_is_counted_from_zero() -> None:
    """Prometheus sees no increase in a series that appears with its first hundred, as after a bad deploy."""
    metrics = Metrics()

    assert [sample(metrics, MetricName.EVENTS, status=each) for each in get_args(ResultStatus)] == [0] * 3
    reasons = get_args(DeadLetterReason)
    assert {sample(metrics, MetricName.DEAD_LETTERS, reason=each) for each in reasons} == {0}


def test_a_duration_is_on_the_page_once_a_run_has_ended() -> None:
    """No rule asks how much it grew, and each status would be a score of series."""
    metrics = Metrics()
    metrics.observe(VerdictPublished(None, "error", "invalid", 0.0))

    assert sample(metrics, f"{MetricName.RUN_DURATION}_count", status="error") is None


def test_tries_takeovers_retries_and_ignored_records_are_counted() -> None:
    """Each happening has its counter."""
    metrics = Metrics()
    metrics.observe(RunStarted("a", takeover=False))
    metrics.observe(RunStarted("b", takeover=True))
    metrics.observe(RetryPlanned("a", "ConnectionError", 1.0))
    metrics.observe(RecordIgnored("event type workflow.completed"))

    assert sample(metrics, MetricName.RUNS_STARTED) == 2
    assert sample(metrics, MetricName.TAKEOVERS) == 1
    assert sample(metrics, MetricName.RETRIES, error_type="ConnectionError") == 1
    assert sample(metrics, MetricName.IGNORED, why="event type workflow.completed") == 1


def test_error_types_are_bounded() -> None:
    """Classes made at run time must not grow the series for ever."""
    metrics = Metrics()
    for number in range(150):
        metrics.observe(RetryPlanned("a", f"Error{number}", 1.0))

    assert sample(metrics, MetricName.RETRIES, error_type="other") == 50


def test_gauges_come_from_one_look_at_the_status() -> None:
    """Per partition where it is by partition, and absent where unknown."""
    where = Partition("events", 3)
    status = ServiceStatus(
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        running=True,
        joined=True,
        last_poll_age_s=0.5,
        partitions=(where,),
        lags={where: 12},
        oldest_unsettled_s={where: 2.5},
        in_flight=4,
        slots=100,
        slots_taken=4,
        gate_reasons={"store": "locked"},
        main_loop_beat_s=0.25,
    )
    looks: list[None] = []

    def look() -> ServiceStatus:
        looks.append(None)
        return status

    metrics = Metrics()
    metrics.watch(look, lambda: 7)
    labels = {"topic": "events", "partition": "3"}

    assert sample(metrics, MetricName.LAG, **labels) == 12
    assert len(looks) == 1
    assert sample(metrics, MetricName.OLDEST_UNSETTLED, **labels) == 2.5
    assert sample(metrics, MetricName.DEAD_LETTER_TOPIC_SIZE) == 7
    assert sample(metrics, MetricName.SLOTS) == 100
    assert sample(metrics, MetricName.INTAKE_PAUSED, what="store") == 1
    assert sample(metrics, MetricName.LOOP_LAG, loop="graphs") == 0.25
    assert sample(metrics, MetricName.LOOP_LAG, loop="kafka") is None
    assert sample(metrics, MetricName.LIVE) == 1
    assert sample(metrics, MetricName.READY) == 0
    assert sample(metrics, MetricName.START_TIME) == datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def test_an_unknown_topic_size_is_left_out() -> None:
    """Zero would say that the topic is empty."""
    metrics = Metrics()
    metrics.watch(ServiceStatus, lambda: None)

    assert sample(metrics, MetricName.DEAD_LETTER_TOPIC_SIZE) is None


def test_two_services_in_one_process_do_not_share_counters() -> None:
    """Tests and libraries run several."""
    one, other = Metrics(), Metrics()
    one.observe(RunStarted("a", takeover=False))

    assert sample(one, MetricName.RUNS_STARTED) == 1
    assert sample(other, MetricName.RUNS_STARTED) == 0


def test_process_memory_is_on_the_page() -> None:
    """Growth of memory is the first thing to look for after a week."""
    value = sample(Metrics(), "process_resident_memory_bytes")

    assert value is None or value > 1_000_000  # None where the system has no /proc
