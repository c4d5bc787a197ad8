"""Polling for a result, as a task does."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from uuid import UUID, uuid4

import pytest

from airflow_integration import WorkflowResultPoller
from kafka_devbroker.net import free_ports
from tests.support.brokers import TestBroker
from tests.support.topics import unique_name
from tests.workflow_events.samples import TopicWriter, a_result
from workflow_events.codec import encode
from workflow_events.errors import BrokerUnavailable, ConfigurationError
from workflow_events.ids import new_event_id
from workflow_events.schema import WorkflowResultEvent
from workflow_events.settings import KafkaSettings, TopicNames

LONG = 20.0
SHORT = 1.0

MakePoller = Callable[..., WorkflowResultPoller]


@pytest.fixture
def writer(broker: TestBroker, topics: TopicNames) -> TopicWriter:
    return TopicWriter(broker.bootstrap_servers, topics.results)


@pytest.fixture
def poller(broker: TestBroker, topics: TopicNames) -> MakePoller:
    """`poller(timeout=..., poll_interval=...)` on the test's own topic."""

    def make(timeout: float = LONG, poll_interval: float = 1.0) -> WorkflowResultPoller:
        return WorkflowResultPoller(broker.bootstrap_servers, topics.results, timeout, poll_interval)

    return make


def put(writer: TopicWriter, *results: WorkflowResultEvent) -> None:
    for result in results:
        writer.put_result(result)
    writer.flush()


@pytest.mark.each_broker
def test_a_result_published_before_anybody_polls_is_found_twice(
    writer: TopicWriter, poller: MakePoller
) -> None:
    """As the record itself, a plain dict of JSON values."""
    result = a_result()
    put(writer, result)

    assert poller().poll_for_result(result.correlation_id) == result.model_dump(mode="json")
    assert poller().poll_for_result(correlation_id=result.correlation_id, workflow_id="quarterly-report")


@pytest.mark.parametrize("event_id", [new_event_id(), uuid4()], ids=["version-7", "version-4"])
def test_a_result_that_comes_later_is_found_at_once(
    writer: TopicWriter, poller: MakePoller, event_id: UUID
) -> None:
    """Long before the poll interval has passed, whatever the kind of id, which may also be a string."""
    answers: list[object] = []
    began = time.monotonic()
    waits = Thread(
        target=lambda: answers.append(
            poller(poll_interval=30.0).poll_for_result(str(event_id), "quarterly-report")
        )
    )
    waits.start()
    put(writer, a_result(event_id))
    waits.join()

    assert answers[0]
    assert time.monotonic() - began < LONG / 2


@pytest.mark.parametrize("status", ["failure", "error"])
def test_failures_are_results_too(writer: TopicWriter, poller: MakePoller, status: str) -> None:
    """With their reason; what to make of them is the caller's business."""
    result = a_result(status=status)  # type: ignore[arg-type]  # one of the literals
    put(writer, result)

    found = poller().poll_for_result(result.correlation_id)

    assert found is not None
    assert (found["status"], found["error"]) == (status, "it went wrong")


def test_results_of_others_are_passed_over(writer: TopicWriter, poller: MakePoller) -> None:
    """Other ids, and our id for a workflow we did not ask."""
    ours = new_event_id()
    put(writer, a_result(), a_result(ours, workflow_id="somebody-elses"), a_result())

    assert poller(SHORT).poll_for_result(ours, workflow_id="quarterly-report") is None
    found = poller().poll_for_result(ours)
    assert found is not None
    assert found["workflow_id"] == "somebody-elses"


def test_invalid_messages_are_skipped_with_a_warning(
    writer: TopicWriter, poller: MakePoller, caplog: pytest.LogCaptureFixture
) -> None:
    """Ours that are broken and whatever else lies on the topic."""
    result = a_result()
    key = str(result.correlation_id).encode()
    for value in (None, b"", b"not json", b"\xff\xfe", b"[1]", b"{}", b"[" * 10_000, encode(a_result())):
        writer.put(value, key)
        writer.put(value)
    put(writer, result)

    found = poller().poll_for_result(result.correlation_id)

    assert found == result.model_dump(mode="json")
    assert "skipped a record that is no result" in caplog.text


def test_a_plain_record_of_another_producer_is_found(writer: TopicWriter, poller: MakePoller) -> None:
    """No key, no headers, just JSON with a correlation id."""
    result = a_result()
    writer.put(encode(result), None, None)
    writer.flush()

    assert poller().poll_for_result(result.correlation_id)


def test_the_timeout_is_kept_and_gives_none(poller: MakePoller) -> None:
    """Not earlier, and not much later; also on a topic that nobody has made yet."""
    began = time.monotonic()
    assert poller(SHORT).poll_for_result(uuid4()) is None
    assert SHORT <= time.monotonic() - began < SHORT + 2


def test_a_topic_that_does_not_exist_gives_none(broker: TestBroker) -> None:
    """Nobody has published a result yet."""
    poller = WorkflowResultPoller(broker.bootstrap_servers, unique_name("nowhere"), timeout=SHORT)

    assert poller.poll_for_result(uuid4()) is None


@contextmanager
def foreign_results(writer: TopicWriter) -> Iterator[None]:
    """Some two thousand results a second for others."""
    stop = Event()

    def write() -> None:
        while not stop.wait(0.02):
            for _ in range(40):
                writer.put_result(a_result(uuid4()))

    thread = Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        writer.flush()


def test_interval_and_timeout_are_kept_among_thousands_of_foreign_results(
    broker: TestBroker, topics: TopicNames, writer: TopicWriter, poller: MakePoller
) -> None:
    """A flood neither stretches the timeout nor hides the result, nor an old failure behind it."""
    with foreign_results(writer):
        began = time.monotonic()
        assert poller(SHORT).poll_for_result(new_event_id()) is None
        assert time.monotonic() - began < SHORT + 2

        ours = TopicWriter(broker.bootstrap_servers, topics.results)
        failed = a_result(status="failure")
        put(ours, failed)
        assert poller().poll_for_result(failed.correlation_id)

        result = a_result()
        answers: list[object] = []
        waits = Thread(target=lambda: answers.append(poller().poll_for_result(result.correlation_id)))
        waits.start()
        put(ours, result)
        waits.join()
        assert answers[0]


def test_fifty_pollers_at_once_each_get_theirs(writer: TopicWriter, poller: MakePoller) -> None:
    """They share a topic and nothing else."""
    results = [a_result() for _ in range(50)]
    answers: dict[str, object] = {}

    def poll(result: WorkflowResultEvent) -> None:
        found = poller(40).poll_for_result(result.correlation_id)
        answers[str(result.correlation_id)] = found and found["correlation_id"]

    threads = [Thread(target=poll, args=(result,)) for result in results]
    for thread in threads:
        thread.start()
    put(writer, *results)
    for thread in threads:
        thread.join()

    assert answers == {str(result.correlation_id): str(result.correlation_id) for result in results}


def test_kafka_errors_are_raised() -> None:
    """None would claim that there is no result."""
    poller = WorkflowResultPoller(f"127.0.0.1:{free_ports(1)[0]}", timeout=SHORT)

    with pytest.raises(BrokerUnavailable, match="cannot be read"):
        poller.poll_for_result(uuid4())


@pytest.mark.each_broker
def test_a_refused_login_is_raised_at_once(broker: TestBroker, topics: TopicNames) -> None:
    """Waiting would not mend it. (The test's brokers know no passwords, which is refusal enough.)"""
    settings = KafkaSettings(broker.bootstrap_servers, "SASL_PLAINTEXT", "PLAIN", "ann", "s3cret")
    poller = WorkflowResultPoller(topic=topics.results, timeout=50, settings=settings)
    began = time.monotonic()

    with pytest.raises(BrokerUnavailable, match="SASL") as caught:
        poller.poll_for_result(uuid4())

    assert time.monotonic() - began < 25
    assert "s3cret" not in str(caught.value)


def test_settings_are_resolved_when_the_poller_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argument over environment over default, and the attributes show what counts."""
    poller = WorkflowResultPoller()
    assert (poller.bootstrap_servers, poller.topic) == ("localhost:9092", "workflow-results")
    assert (poller.timeout, poller.poll_interval) == (300, 1.0)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "b:1")
    monkeypatch.setenv("KAFKA_WORKFLOW_RESULTS_TOPIC", "r")
    poller = WorkflowResultPoller()
    assert (poller.bootstrap_servers, poller.topic) == ("b:1", "r")
    poller = WorkflowResultPoller("c:1", "s", settings=KafkaSettings("d:1"))
    assert (poller.bootstrap_servers, poller.topic) == ("d:1", "s")


def test_values_that_cannot_be_meant_are_refused() -> None:
    """No interval, or an id that is none."""
    with pytest.raises(ConfigurationError, match="poll_interval"):
        WorkflowResultPoller(poll_interval=0)
    with pytest.raises(ValueError, match="UUID"):
        WorkflowResultPoller(timeout=SHORT).poll_for_result("not-a-uuid")


def test_the_poller_needs_no_airflow() -> None:
    """Nor does its package; what needs it is loaded on first use."""
    program = (
        "import sys\n"
        "class Forbidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'airflow': raise ImportError('no Airflow here')\n"
        "sys.meta_path.insert(0, Forbidden())\n"
        "import airflow_integration\n"
        "from airflow_integration import WorkflowResultPoller\n"
        "from airflow_integration.result_poller import WorkflowResultPoller as same\n"
        "assert WorkflowResultPoller is same\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
