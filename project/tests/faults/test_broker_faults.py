"""Rows 3, 9, 10, 22 and 25 of the fault table: the broker is gone, slow, refuses or changes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from kafka_devbroker import Broker
from tests.faults.bench import Bench, Worker, held, run_of
from tests.langgraph_integration.topics import Raw, raw
from tests.support import wait_until_sync
from tests.support.topics import create_topics
from workflow_events import WorkflowEvent

pytestmark = [pytest.mark.apache, pytest.mark.slow, pytest.mark.timeout(150)]

_OUTAGE_S = float(os.environ.get("OUTAGE_SECONDS") or 10)
"""How long the broker is away under load; 60 for the long outage of the fault programme."""

_STOP_S = 25.0 + 5.0
"""The shutdown timeout, and what a stop may take beyond it."""


@pytest.mark.timeout(150 + 2 * _OUTAGE_S)
def test_row_03_the_broker_is_killed_under_load_and_comes_back(
    make_bench: Callable[..., Bench], own_broker: Broker, state_url: str | None
) -> None:
    """Workers stay up, intake pauses; then everything is answered once and committed."""
    bench = make_bench(own_broker, state_url=state_url)
    first, second = [run_of(b=0.2) for _ in range(40)], [run_of() for _ in range(10)]
    worker = bench.worker()
    bench.publish(first)
    bench.answers(5)
    own_broker.kill()
    until = time.monotonic() + _OUTAGE_S
    worker.wait_for("intake_paused")
    wait_until_sync(lambda: time.monotonic() >= until, _OUTAGE_S + 5, "the end of the outage")
    own_broker.restart()
    bench.publish(second)

    for each in (*first, *second):
        assert bench.verdict(each.event_id, 60).status == "success"
    wait_until_sync(lambda: bench.committed() == 50, 20, "all offsets to be committed")
    assert worker.life.code is None
    assert all(bench.runs_of(each.event_id) == {"a": 1, "b": 1, "c": 1} for each in (*first, *second))
    assert len({answer.digest for answer in bench.answers(50)}) == 50


def test_row_03_the_broker_is_killed_while_every_slot_is_taken(
    make_bench: Callable[..., Bench], own_broker: Broker
) -> None:
    """Nothing is fetched then: the lag grows with the topic all the same, and /readyz says what is wrong."""
    bench = make_bench(own_broker, partitions=1)
    long_one = run_of(b=30)
    worker = bench.worker(http=True, WORKFLOW_MAX_CONCURRENCY="1")
    bench.publish([long_one, *[run_of() for _ in range(9)]])
    bench.in_node(long_one.event_id, "b")
    wait_until_sync(lambda: _lag(worker) == 10, 20, "the lag to be known")
    bench.publish([run_of() for _ in range(20)])
    wait_until_sync(lambda: _lag(worker) == 30, 20, "the lag to grow")
    assert worker.page("/readyz")[0] == 200

    own_broker.kill()
    wait_until_sync(lambda: worker.page("/readyz")[0] == 503, 30, "the worker not to be ready")
    _, reason = worker.page("/readyz")
    taken = worker.metric("langgraph_kafka_slots_taken")
    own_broker.restart()

    assert "intake paused: consume" in reason
    assert "no answer for" in reason
    assert taken == 1
    wait_until_sync(lambda: _lag(worker) == 0, 90, "all to be settled")
    wait_until_sync(lambda: worker.page("/readyz")[0] == 200, 20, "the worker to be ready again")


def _lag(worker: Worker) -> int:
    _, page = worker.page("/metrics")
    lags = [line for line in page.splitlines() if line.startswith("langgraph_kafka_lag_records{")]
    return sum(int(float(line.split()[-1])) for line in lags)


def test_row_03_a_signal_during_the_outage_ends_the_worker_in_time(
    make_bench: Callable[..., Bench], own_broker: Broker, state_url: str | None
) -> None:
    """With runs in flight whose results cannot be sent; the next worker sends them."""
    bench = make_bench(own_broker, state_url=state_url)
    events = [run_of(b=1.0) for _ in range(10)]
    worker = bench.worker()
    bench.publish(events)
    bench.in_node(events[0].event_id, "b")
    own_broker.kill()
    began = time.monotonic()
    worker.signal(signal.SIGTERM)
    code = worker.exit_code(60)
    took = time.monotonic() - began
    own_broker.restart()
    bench.worker()

    assert took <= _STOP_S
    assert code in (0, 1)
    for each in events:
        assert bench.verdict(each.event_id, 60).status == "success"


def test_row_09_commits_of_unknown_outcome(make_bench: Callable[..., Bench], own_broker: Broker) -> None:
    """The broker freezes with commits and results on their way, and both are simply repeated."""
    bench = make_bench(own_broker)
    worker = bench.worker()
    events = _until_a_commit_is_caught(bench, worker, own_broker)

    for each in events:
        assert bench.verdict(each.event_id, 60).status == "success"
    assert len({answer.digest for answer in bench.answers(len(events))}) == len(events)
    assert all(bench.runs_of(each.event_id) == {"a": 1, "b": 1, "c": 1} for each in events)
    wait_until_sync(lambda: bench.committed() == len(events), 20, "all offsets to be committed")


def _until_a_commit_is_caught(bench: Bench, worker: Worker, broker: Broker) -> list[WorkflowEvent]:
    """Freeze the broker under load until a commit remains without an answer: one is under way only where
    something has been settled since the last, a fifth of a second ago.
    """
    events: list[WorkflowEvent] = []
    while not worker.actions()["commit_unconfirmed"]:
        assert len(events) < 300, "no freeze caught a commit"
        answered = len(events)
        # one after the other, so that there is something to commit at any moment
        events += (more := [run_of(b=number / 20) for number in range(60)])
        bench.publish(more)
        bench.answers(answered + 10)
        with held(broker.pause, broker.resume), suppress(AssertionError):
            worker.wait_for("commit_unconfirmed", 10)
        bench.answers(len(events))
    return events


def test_row_10_the_dead_letter_topic_is_missing(bench: Bench) -> None:
    """Intake pauses and the reason names the topic, nothing is dropped, it goes on when the topic is made."""
    broken, good = run_of("broken"), run_of()
    later = f"{bench.topics.dead_letters}-later"
    worker = bench.worker(http=True, KAFKA_DLQ_TOPIC=later)
    bench.publish([broken])
    worker.wait_for("intake_paused", 60)
    bench.publish([good])
    code, ready = worker.page("/readyz")
    assert (code, "intake paused: publish" in ready, later in ready) == (503, True, True), ready
    assert bench.committed() == 0
    create_topics(bench.servers, [later])

    assert bench.verdict(broken.event_id, 90).status == "error"
    assert bench.verdict(good.event_id, 60).status == "success"
    wait_until_sync(lambda: worker.page("/readyz")[0] == 200, 20, "the worker to be ready again")
    assert bench.end(later) == 1


def test_row_22_partitions_are_added(bench: Bench) -> None:
    """Their records are read from the first one on, where a new group would begin at the end."""
    worker = bench.worker(KAFKA_AUTO_OFFSET_RESET="latest")
    asked = run_of()
    admin = AdminClient({"bootstrap.servers": bench.servers})
    for done in admin.create_partitions([NewPartitions(bench.topics.events, 5)]).values():
        done.result(20)
    wait_until_sync(
        lambda: len(admin.list_topics(bench.topics.events).topics[bench.topics.events].partitions) == 5
    )
    record = raw(asked)
    bench.send([Raw(record.value, record.key, record.headers, partition=4)])

    assert bench.verdict(asked.event_id, 60).status == "success"
    assert worker.life.code is None


def test_row_22_the_events_topic_is_deleted(bench: Bench) -> None:
    """The worker stays up, says that the topic is not there, and goes on when it is made again."""
    worker = bench.worker(http=True)
    asked, later = run_of(), run_of()
    bench.publish([asked])
    bench.verdict(asked.event_id)
    assert worker.page("/readyz")[0] == 200
    admin = AdminClient({"bootstrap.servers": bench.servers})
    for done in admin.delete_topics([bench.topics.events]).values():
        done.result(20)
    wait_until_sync(lambda: bench.topics.events not in admin.list_topics().topics, 20, "the topic to be gone")
    settled = worker.actions()["settled"]

    wait_until_sync(
        lambda: f"{bench.topics.events} is not there" in worker.page("/readyz")[1], 30, "the reason"
    )
    wait_until_sync(lambda: worker.beats() >= 6, 20, "three more seconds of its life")
    assert (worker.page("/readyz")[0], worker.page("/livez")[0]) == (503, 200)
    assert worker.life.code is None
    assert worker.actions()["settled"] == settled

    create_topics(bench.servers, [bench.topics.events])
    bench.publish([later])
    assert bench.verdict(later.event_id, 90).status == "success"
    wait_until_sync(lambda: worker.page("/readyz")[0] == 200, 20, "the worker to be ready again")
    assert worker.life.code is None


def test_row_25_a_worker_that_stalls_holds_up_no_reader(bench: Bench) -> None:
    """Without transactions a stopped worker leaves nothing open: acknowledged results are visible at once."""
    events = [run_of(b=0.05) for _ in range(30)]
    worker = bench.worker()
    bench.publish(events)
    bench.answers(5)
    worker.signal(signal.SIGSTOP)
    try:
        assert bench.stable_end(bench.topics.results) == bench.end(bench.topics.results)
    finally:
        worker.signal(signal.SIGCONT)
    for each in events:
        assert bench.verdict(each.event_id).status == "success"
