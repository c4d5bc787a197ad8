"""Asking and waiting, against a broker."""

import asyncio
import time
from collections.abc import Callable, Iterator
from threading import Thread
from uuid import UUID, uuid4

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from tests.support.brokers import TestBroker
from tests.support.strange_headers import batch_with_a_strange_header, produce_batch
from tests.support.topics import create_topics, unique_name, wait_for_partitions
from tests.support.waiting import wait_until, wait_until_sync
from tests.workflow_events.samples import TopicWriter, a_result, an_event
from workflow_events import WorkflowEventProducer
from workflow_events.codec import encode
from workflow_events.exchange import ReceivedResult, ResultExchange, StartPoint
from workflow_events.ids import new_event_id
from workflow_events.settings import TopicNames

Marks = tuple[bytes | None, dict[str, bytes] | None]

LONG = 20.0
SHORT = 0.5


@pytest.fixture
def writer(broker: TestBroker, topics: TopicNames) -> TopicWriter:
    return TopicWriter(broker.bootstrap_servers, topics.results)


@pytest.fixture
def exchange(broker: TestBroker, topics: TopicNames) -> Iterator[ResultExchange]:
    with ResultExchange(broker.bootstrap_servers, topics.results) as exchange:
        yield exchange


def put(writer: TopicWriter, event_id: UUID, **changes: object) -> None:
    writer.put_result(a_result(event_id, **changes))  # type: ignore[arg-type]  # any field of a result
    writer.flush()


async def test_a_header_name_that_is_not_utf_8_is_no_end_of_waiting(
    exchange: ResultExchange, writer: TopicWriter, broker: TestBroker, topics: TopicNames
) -> None:
    """The record counts by its key and value; those around it are found as ever. Many have been read before:
    a call that the interpreter has specialised would miss the error that the client leaves behind.
    """
    for _ in range(100):
        writer.put_result(a_result(new_event_id()))
    writer.flush()
    results = [a_result(new_event_id()) for _ in range(3)]
    batch = batch_with_a_strange_header([encode(each) for each in results])
    await produce_batch(broker.bootstrap_servers, topics.results, 0, batch)

    for each in results:
        found = await asyncio.to_thread(exchange.wait, each.correlation_id, LONG)
        assert found is not None
        assert found.event == each


@pytest.mark.each_broker
@pytest.mark.parametrize("event_id", [new_event_id(), uuid4()], ids=["version-7", "version-4"])
def test_a_result_is_found_whether_it_was_there_before_or_comes_later(
    exchange: ResultExchange, writer: TopicWriter, event_id: UUID
) -> None:
    """Before any wait, again right after, and in the middle of a wait."""
    put(writer, event_id)
    for _ in range(2):
        found = exchange.wait(event_id, LONG)
        assert found is not None
        assert found.event.correlation_id == event_id

    later = new_event_id()
    answer = Thread(target=put, args=(writer, later))
    wait = Thread(target=lambda: answers.append(exchange.wait(later, LONG)))
    answers: list[ReceivedResult | None] = []
    wait.start()
    answer.start()
    wait.join()
    answer.join()

    assert answers[0] is not None
    assert answers[0].event.correlation_id == later


@pytest.mark.each_broker
def test_noting_before_publishing_misses_nothing(exchange: ResultExchange, writer: TopicWriter) -> None:
    """Even when the result is there before the wait begins; and what stood before is not read."""
    old, new = uuid4(), uuid4()
    put(writer, old)
    since = exchange.note()
    put(writer, new)

    assert exchange.wait(new, LONG, since=since) is not None
    assert since.noted
    assert StartPoint.from_dict(since.to_dict()) == since


def test_a_wait_ends_at_its_timeout(exchange: ResultExchange) -> None:
    """With None, and not before."""
    began = time.monotonic()

    assert exchange.wait(new_event_id(), SHORT) is None

    assert SHORT <= time.monotonic() - began < SHORT + 2


def test_a_wait_may_begin_before_the_topic_exists(broker: TestBroker) -> None:
    """It is found when it is made, and noting nothing means reading all of it."""
    topic, event_id = unique_name("later"), new_event_id()
    with ResultExchange(broker.bootstrap_servers, topic, poll_interval=0.05) as exchange:
        since = exchange.note()
        assert not since.noted
        assert exchange.wait(event_id, SHORT) is None
        create_topics(broker.bootstrap_servers, [topic], partitions=2)
        put(TopicWriter(broker.bootstrap_servers, topic), event_id)

        assert exchange.wait(event_id, LONG, since=since) is not None


def test_late_waits_find_what_stood_before_the_reader_began(
    exchange: ResultExchange, writer: TopicWriter, broker: TestBroker, topics: TopicNames
) -> None:
    """The reader is ahead; others look back, in one go or from the index, and one by one."""
    old = [uuid4() for _ in range(30)]
    for event_id in old:
        put(writer, event_id)
    since = exchange.note()
    fresh = [new_event_id() for _ in range(30)]
    for event_id in fresh:
        put(writer, event_id)
    assert exchange.wait(fresh[-1], LONG, since=since) is not None

    with_index = [exchange.wait(event_id, LONG) for event_id in fresh]
    looked_back = [exchange.wait(event_id, LONG) for event_id in old[:5]]

    assert None not in with_index
    assert None not in looked_back
    answers: list[ReceivedResult | None] = []
    threads = [Thread(target=lambda one=one: answers.append(exchange.wait(one, LONG))) for one in old]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {found.event.correlation_id for found in answers if found} == set(old)


def test_a_small_index_forgets_and_the_topic_does_not(
    broker: TestBroker, topics: TopicNames, writer: TopicWriter
) -> None:
    """What it no longer knows is looked up on the topic."""
    with ResultExchange(broker.bootstrap_servers, topics.results, index_capacity=4) as exchange:
        since = exchange.note()
        made = [new_event_id() for _ in range(20)]
        for event_id in made:
            put(writer, event_id)
        assert exchange.wait(made[-1], LONG, since=since) is not None

        assert all(exchange.wait(event_id, LONG, since=since) for event_id in made)


@pytest.mark.parametrize(
    "marks",
    [
        lambda own: (None, None),
        lambda own: (b"quarterly-report", None),
        lambda own: (own, None),
        lambda own: (None, {"correlation_id": own}),
        lambda own: (str(uuid4()).encode(), {"x": b"y"}),
    ],
    ids=["nothing", "workflow-key", "key", "header", "uuid-key"],
)
def test_a_result_is_found_whoever_wrote_it(
    exchange: ResultExchange, writer: TopicWriter, marks: Callable[[bytes], Marks]
) -> None:
    """With key, with header, with neither, on any partition, in indented JSON with fields of its own."""
    event_id = new_event_id()
    key, headers = marks(str(event_id).encode())
    text = a_result(event_id).model_dump_json(indent=2).replace("{", '{"extra": 1,', 1).encode()
    for partition in range(3):
        writer.put(text, key, headers, partition)
    writer.flush()

    found = exchange.wait(event_id, LONG)

    assert found is not None
    assert found.record["extra"] == 1


def test_a_retry_waits_for_the_verdict_of_its_own_attempt(
    exchange: ResultExchange, writer: TopicWriter
) -> None:
    """And without an attempt the best verdict on the topic counts."""
    event_id = new_event_id()
    put(writer, event_id, status="error", attempt=1)

    assert exchange.wait(event_id, SHORT, attempt=2) is None
    first = exchange.wait(event_id, LONG)
    assert first is not None
    assert first.event.status == "error"

    put(writer, event_id, status="success", attempt=2)

    for attempt in (None, 1, 2, 3):
        found = exchange.wait(event_id, LONG, attempt=attempt)
        assert found is not None
        # Who asks for the first attempt may be given its error: it came first.
        assert found.event.status == "success" or attempt == 1


def test_the_best_verdict_counts_across_partitions(
    broker: TestBroker, topics: TopicNames, writer: TopicWriter
) -> None:
    """Producers disagree about partitions; an old failure on one must not hide the success on another."""
    event_id = uuid4()
    for partition, status, attempt in ((0, "error", 1), (1, "success", 3), (2, "error", 2)):
        writer.put(encode(a_result(event_id, status, attempt=attempt)), None, None, partition)  # type: ignore[arg-type]  # a literal
    writer.flush()

    with ResultExchange(broker.bootstrap_servers, topics.results) as exchange:
        found = exchange.wait(event_id, LONG)

    assert found is not None
    assert found.event.attempt == 3


def test_fifty_waits_at_once_each_get_their_own(exchange: ResultExchange, writer: TopicWriter) -> None:
    """From as many threads."""
    wanted = [new_event_id() for _ in range(50)]
    answers: dict[UUID, ReceivedResult | None] = {}
    threads = [
        Thread(target=lambda one=one: answers.update({one: exchange.wait(one, LONG)})) for one in wanted
    ]
    for thread in threads:
        thread.start()
    for event_id in reversed(wanted):
        writer.put_result(a_result(event_id))
    writer.flush()
    for thread in threads:
        thread.join()

    assert {
        event_id: found.event.correlation_id if found else None for event_id, found in answers.items()
    } == {event_id: event_id for event_id in wanted}


async def test_many_waits_share_one_loop(exchange: ResultExchange, writer: TopicWriter) -> None:
    """Each gets its own, the others go on waiting, and a cancelled one leaves nothing behind."""
    since = await exchange.note_async()
    wanted = [new_event_id() for _ in range(300)]
    waits = [asyncio.create_task(exchange.wait_async(one, None, since=since)) for one in wanted]
    gives_up = asyncio.create_task(exchange.wait_async(new_event_id(), None))
    times_out = asyncio.create_task(exchange.wait_async(new_event_id(), SHORT))
    await asyncio.sleep(0)
    for event_id in wanted:
        writer.put_result(a_result(event_id))
    await asyncio.to_thread(writer.flush)

    found = await asyncio.gather(*waits)

    assert [one.event.correlation_id if one else None for one in found] == wanted
    gives_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gives_up
    assert await times_out is None


@pytest.mark.apache
def test_added_partitions_are_read(broker: TestBroker) -> None:
    """Without anybody starting anew, and from their first record."""
    topic, first, second = unique_name("grows"), new_event_id(), new_event_id()
    create_topics(broker.bootstrap_servers, [topic], partitions=1)
    writer = TopicWriter(broker.bootstrap_servers, topic)
    with ResultExchange(broker.bootstrap_servers, topic) as exchange:
        since = exchange.note()
        put(writer, first)
        assert exchange.wait(first, LONG, since=since) is not None

        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        admin.create_partitions([NewPartitions(topic, 3)])[topic].result(LONG)
        wait_for_partitions(admin, topic, 3)
        wider = TopicWriter(broker.bootstrap_servers, topic)
        wider.put_result(a_result(second), partition=2)
        wider.flush()

        assert exchange.wait(second, LONG, since=since) is not None


def test_a_result_can_be_read_again_at_its_place(exchange: ResultExchange, writer: TopicWriter) -> None:
    """A claim check: partition and offset are enough. A place without a record gives None."""
    event_id = new_event_id()
    put(writer, event_id)
    found = exchange.wait(event_id, LONG)
    assert found is not None

    again = exchange.read_at(found.partition, found.offset)

    assert again == found
    assert exchange.read_at(found.partition, found.offset + 100, 1) is None


def test_ask_publishes_and_waits(
    broker: TestBroker, topics: TopicNames, exchange: ResultExchange, writer: TopicWriter
) -> None:
    """In the order that cannot miss a fast answer."""
    event = an_event()
    with WorkflowEventProducer(broker.bootstrap_servers) as producer:

        def answer_it() -> None:
            wait_until_sync(lambda: exchange.waiting == 1, description="the question")
            put(writer, event.event_id)

        answer = Thread(target=answer_it)
        answer.start()
        found = exchange.ask(event, producer, LONG, events_topic=topics.events)
        answer.join()
        unanswered = exchange.ask(an_event(), producer, SHORT, events_topic=topics.events)

    assert found is not None
    assert unanswered is None


async def test_closing_ends_all_waits(broker: TestBroker, topics: TopicNames) -> None:
    """With an error that says so; using it afterwards is one too."""
    exchange = ResultExchange(broker.bootstrap_servers, topics.results)
    wait = asyncio.create_task(exchange.wait_async(new_event_id(), LONG))
    await wait_until(lambda: exchange.waiting == 1)

    await asyncio.to_thread(exchange.close)
    exchange.close()

    with pytest.raises(RuntimeError, match="closed"):
        await wait
    with pytest.raises(RuntimeError, match="closed"):
        exchange.wait(new_event_id(), SHORT)
    with pytest.raises(RuntimeError, match="closed"):
        exchange.note()
