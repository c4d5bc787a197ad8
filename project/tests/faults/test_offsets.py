"""Row 21 of the fault table: offsets that name no record of the topic, or one of another topic."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from kafka_devbroker import Broker
from tests.faults.bench import Bench, run_of
from tests.support import wait_until_sync
from tests.support.topics import make_anew

pytestmark = [pytest.mark.apache, pytest.mark.slow, pytest.mark.timeout(150)]


def test_row_21_offsets_out_of_range(make_bench: Callable[..., Bench], quick_broker: Broker) -> None:
    """Records that the topic lost before they were read: the worker stops there, says so, and never jumps."""
    bench = make_bench(quick_broker, partitions=1)
    bench.publish([run_of() for _ in range(3)])
    first = bench.worker()
    bench.answers(3)
    first.signal(signal.SIGTERM)
    assert first.exit_code() == 0
    bench.publish([run_of() for _ in range(5)])
    admin = AdminClient({"bootstrap.servers": bench.servers})
    for deleted in admin.delete_records([TopicPartition(bench.topics.events, 0, 6)]).values():
        deleted.result(20)
    second = bench.worker(http=True)
    second.wait_for("intake_paused")
    code, ready = second.page("/readyz")

    assert code == 503
    assert f"{bench.topics.events}[0] at 3, the topic holds 6 to 8" in ready
    wait_until_sync(lambda: second.beats() >= 6, 20, "three seconds of its life")
    assert bench.committed() == 3
    assert second.life.code is None
    assert len(bench.answers(3)) == 3


def test_row_21_an_offset_beyond_the_end(make_bench: Callable[..., Bench], quick_broker: Broker) -> None:
    """Set by hand, or left by a topic that held more: it jumps nowhere, and says so."""
    bench = make_bench(quick_broker, partitions=1)
    bench.publish([run_of() for _ in range(3)])
    _set_offset(bench, 100)
    worker = bench.worker(http=True)
    worker.wait_for("intake_paused")
    code, ready = worker.page("/readyz")

    assert code == 503
    assert f"{bench.topics.events}[0] at 100, the topic holds 0 to 3" in ready
    # there are records at the offset now, and the client would go on with them
    bench.publish([run_of() for _ in range(110)])
    wait_until_sync(lambda: worker.beats() >= 12, 20, "six seconds of its life")
    assert (bench.committed(), bench.end(bench.topics.results), bench.steps()) == (100, 0, [])
    assert worker.life.code is None


@pytest.mark.timeout(240)
def test_row_21_a_topic_that_was_made_anew(make_bench: Callable[..., Bench], quick_broker: Broker) -> None:
    """While no worker is there: the next finds more records than the group's offset counts, and does not read
    on in the middle. When the offsets have been set, all is read.
    """
    bench = make_bench(quick_broker, partitions=1)
    bench.publish([run_of() for _ in range(3)])
    first = bench.worker()
    bench.answers(3)
    wait_until_sync(lambda: bench.committed() == 3, 20, "the offsets to be committed")
    mark = _mark(bench)
    first.signal(signal.SIGTERM)
    assert first.exit_code() == 0
    make_anew(bench.servers, bench.topics.events)
    # as a commit that was under way would leave it, or a broker that keeps what was committed
    _set_offset(bench, 3, mark)
    later = [run_of() for _ in range(8)]
    bench.publish(later)
    second = bench.worker(joined=False, http=True)
    # a start waits a minute for its partitions
    second.wait_for("intake_paused", 90)
    code, ready = second.page("/readyz")
    wait_until_sync(lambda: second.beats() >= 6, 20, "three seconds of its life")
    untouched = (bench.committed(), bench.end(bench.topics.results))
    second.signal(signal.SIGTERM)
    second.exit_code()
    _set_offset(bench, 0)
    bench.worker()

    assert code == 503
    assert "was deleted and made anew" in ready
    assert untouched == (3, 3)
    assert {bench.verdict(each.event_id).status for each in later} == {"success"}


def test_row_21_a_topic_that_is_made_anew_under_a_worker(
    make_bench: Callable[..., Bench], quick_broker: Broker
) -> None:
    """Between two looks of its client, and longer than its position at once: nothing of the new topic is
    taken for the rest of the old one.
    """
    bench = make_bench(quick_broker, partitions=1)
    bench.publish([run_of() for _ in range(3)])
    worker = bench.worker(http=True)
    bench.answers(3)
    wait_until_sync(lambda: bench.committed() == 3, 20, "the offsets to be committed")
    later = [run_of() for _ in range(8)]
    worker.signal(signal.SIGSTOP)
    make_anew(bench.servers, bench.topics.events)
    bench.publish(later)
    worker.signal(signal.SIGCONT)
    wait_until_sync(
        lambda: len(bench.answers(0)) == 11 or "intake_paused" in worker.actions(),
        60,
        "the worker to answer all, or to see that it is another topic",
    )
    if len(bench.answers(0)) < 11:
        wait_until_sync(lambda: "made anew" in worker.page("/readyz")[1], 30, "the reason to be told")
        worker.signal(signal.SIGTERM)
        worker.exit_code()
        _set_offset(bench, 0)
        bench.worker()

    assert {bench.verdict(each.event_id).status for each in later} == {"success"}


def _mark(bench: Bench) -> str:
    """What the group's last commit carries."""
    with _member(bench) as member:
        (found,) = member.committed([TopicPartition(bench.topics.events, 0)], timeout=20)
    # confluent-kafka reads on behind its end
    text = str(found.metadata)
    return text[: text.rindex("}") + 1]


def _set_offset(bench: Bench, offset: int, mark: str = "") -> None:
    """As kafka-consumer-groups.sh does, which leaves no mark; taken while the group has no member."""

    def done() -> bool:
        with _member(bench) as member:
            try:
                where = TopicPartition(bench.topics.events, 0, offset, mark)
                member.commit(offsets=[where], asynchronous=False)
            except KafkaException:
                return False
        return True

    wait_until_sync(done, 30, "the group's offset to be set")
    assert bench.committed() == offset


@contextmanager
def _member(bench: Bench) -> Iterator[Consumer]:
    own = {"group.id": bench.group, "enable.auto.commit": False}
    consumer = Consumer({"bootstrap.servers": bench.servers, **own})
    try:
        yield consumer
    finally:
        consumer.close()
