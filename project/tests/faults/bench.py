"""What a fault test works with: a quick Apache Kafka, workers to be hurt, and all that they leave behind."""

from __future__ import annotations

import json
import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen
from uuid import UUID

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from kafka_devbroker import Broker
from kafka_devbroker.net import LOOPBACK, free_ports
from tests.chaos.evidence import Answer, Step
from tests.chaos.graph import HISTORY_VARIABLE
from tests.chaos.nursery import Life, Nursery
from tests.chaos.witness import answer_of
from tests.chaos.zygote import STATS_VARIABLE
from tests.langgraph_integration.events import event
from tests.langgraph_integration.topics import Raw, TopicReader, letter_of, raw, send
from tests.support import wait_until_sync
from tests.support.topics import create_workflow_topics, unique_name
from workflow_events import WorkflowEvent
from workflow_events.dead_letter import DeadLetterEvent
from workflow_events.ids import new_event_id
from workflow_events.settings import TopicNames

SESSION_S = 2.0
HEARTBEAT_S = 0.5
LANGGRAPH_JSON = Path(__file__).parents[1] / "chaos" / "langgraph.json"

QUICK_BROKER = {
    "group.min.session.timeout.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "1",
    # a topic that is missing stays missing until somebody makes it
    "auto.create.topics.enable": "false",
}


class Worker:
    """One service in a process of its own."""

    def __init__(self, life: Life, log_file: Path, port: int = 0) -> None:
        self.life = life
        self.log_file = log_file
        self._port = port
        self._first_beat: int | None = None

    @property
    def pid(self) -> int:
        return self.life.pid

    def signal(self, number: int) -> None:
        self.life.signal(number)

    def kill(self) -> None:
        self.life.signal(signal.SIGKILL)
        self.exit_code()

    def exit_code(self, timeout: float = 40.0) -> int:
        """Once it has ended (seconds)."""
        wait_until_sync(
            lambda: self.life.code is not None, timeout, f"{self.life.name} to end:\n{self.tail()}"
        )
        assert self.life.code is not None
        return self.life.code

    def lines(self) -> list[dict[str, Any]]:
        """Its log."""
        texts = self.log_file.read_text().splitlines() if self.log_file.exists() else []
        return [json.loads(text) for text in texts if text.startswith("{")]

    def actions(self) -> Counter[str]:
        """How often each action stands in its log."""
        return Counter(line.get("action", "") for line in self.lines())

    def wait_for(self, action: str, timeout: float = 40.0, times: int = 1) -> None:
        """Until its log has the action so often (seconds)."""
        wait_until_sync(
            lambda: self.actions()[action] >= times, timeout, f"{action!r} in the log of {self.life.name}"
        )

    def beats(self) -> int:
        """How many signs of life it has given, two a second, since this was first asked."""
        file = self.log_file.parent / "stats.jsonl"
        pids = [json.loads(line)["pid"] for line in file.read_text().splitlines()]
        count = pids.count(self.pid)
        self._first_beat = count if self._first_beat is None else self._first_beat
        return count - self._first_beat

    def page(self, path: str) -> tuple[int, str]:
        """Status and text of one of its pages; it must have been started with `http=True`."""
        try:
            with urlopen(f"http://{LOOPBACK}:{self._port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as answer:
            with answer:
                return answer.code, answer.read().decode()

    def metric(self, name: str) -> float:
        """The value of a metric without labels."""
        _, page = self.page("/metrics")
        return next(float(line.split()[1]) for line in page.splitlines() if line.startswith(f"{name} "))

    def tail(self) -> str:
        return self.log_file.read_text()[-3000:] if self.log_file.exists() else ""


class Home:
    """Where workers come from: one zygote for all tests of a process."""

    def __init__(self, folder: Path) -> None:
        self._began: dict[str, Life] = {}
        self._there = threading.Condition()
        self._nursery = Nursery(folder / "zygote.log", began=self._note)

    def start(self, name: str, environment: dict[str, str], log_file: Path) -> Worker:
        self._nursery.spawn(name, environment, log_file)
        with self._there:
            assert self._there.wait_for(lambda: name in self._began, 20), f"no worker {name}"
        return Worker(self._began[name], log_file, int(environment["WORKFLOW_HTTP_PORT"]))

    def close(self) -> None:
        self._nursery.close()

    def _note(self, life: Life) -> None:
        with self._there:
            self._began[life.name] = life
            self._there.notify_all()


class Bench:
    """Topics, a group, a database and a history of a test's own."""

    def __init__(
        self, home: Home, broker: Broker, folder: Path, *, partitions: int = 3, state_url: str | None = None
    ) -> None:
        self._home = home
        self.broker = broker
        self.servers = broker.bootstrap_servers
        self.folder = folder
        self.topics: TopicNames = create_workflow_topics(
            self.servers, partitions=partitions, config={"message.timestamp.type": "LogAppendTime"}
        )
        self.group = unique_name("group")
        self.database = folder / "state.db"
        self.state_url = state_url or f"sqlite:{self.database}"
        self.history = folder / "history.jsonl"
        self.history.touch()
        Path(f"{self.history}.tries").mkdir()
        self.workers: list[Worker] = []
        self._results: TopicReader | None = None
        self._answers: list[Answer] = []
        self._letters: TopicReader | None = None

    def worker(self, *, joined: bool = True, http: bool = False, **environment: str) -> Worker:
        """Another worker of the group, by default once it consumes; with `http` it has its pages."""
        name = unique_name("worker")
        port = free_ports(1)[0] if http else 0
        settings = self.environment() | {"WORKFLOW_HTTP_PORT": str(port)} | environment
        worker = self._home.start(name, settings, self.folder / f"{name}.log")
        self.workers.append(worker)
        if joined:
            worker.wait_for("consuming")
        return worker

    def environment(self) -> dict[str, str]:
        """The settings of a worker."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.servers,
            "KAFKA_WORKFLOW_EVENTS_TOPIC": self.topics.events,
            "KAFKA_WORKFLOW_RESULTS_TOPIC": self.topics.results,
            "KAFKA_DLQ_TOPIC": self.topics.dead_letters,
            "KAFKA_CONSUMER_GROUP_ID": self.group,
            "KAFKA_AUTO_OFFSET_RESET": "earliest",
            "KAFKA_SESSION_TIMEOUT_MS": str(round(SESSION_S * 1000)),
            "KAFKA_HEARTBEAT_INTERVAL_MS": str(round(HEARTBEAT_S * 1000)),
            "KAFKA_REBALANCE_TIMEOUT_MS": "10000",
            "WORKFLOW_STATE_URL": self.state_url,
            "WORKFLOW_FAULT_POINT": "",
            "LANGGRAPH_CONFIG": str(LANGGRAPH_JSON),
            HISTORY_VARIABLE: str(self.history),
            STATS_VARIABLE: str(self.folder / "stats.jsonl"),
        }

    def publish(self, asked: Sequence[WorkflowEvent], **where: Any) -> None:
        """Events, as their producers write them."""
        self.send([raw(each, **where) for each in asked])

    def send(self, records: Sequence[Raw]) -> None:
        send(self.servers, self.topics.events, records)

    def answers(self, number: int, timeout: float = 40.0) -> list[Answer]:
        """All results, once there are so many (seconds)."""
        if self._results is None:
            self._results = TopicReader(self.servers, self.topics.results)
        self._results.read(number, timeout)
        messages = self._results.rest()
        self._answers += [answer_of(message) for message in messages[len(self._answers) :]]
        return list(self._answers)

    def letters(self, number: int, timeout: float = 40.0) -> list[DeadLetterEvent]:
        """All dead letters, once there are so many (seconds)."""
        if self._letters is None:
            self._letters = TopicReader(self.servers, self.topics.dead_letters)
        self._letters.read(number, timeout)
        return [letter_of(message) for message in self._letters.rest()]

    def verdict(self, event_id: UUID, timeout: float = 40.0) -> Answer:
        """The first answer to an event."""
        wait_until_sync(lambda: self.is_answered(event_id), timeout, f"an answer to {event_id}")
        return next(each for each in self.answers(0) if each.event_id == str(event_id))

    def is_answered(self, event_id: UUID) -> bool:
        return any(each.event_id == str(event_id) for each in self.answers(0))

    def steps(self, event_id: UUID | None = None) -> list[Step]:
        """The execution history, of one event or of all."""
        lines = [json.loads(line) for line in self.history.read_text().splitlines()]
        steps = [
            Step(line["event"], line["node"], line["what"], line["epoch"], line["pid"], line["time"])
            for line in lines
        ]
        return [step for step in steps if event_id is None or step.event_id == str(event_id)]

    def in_node(self, event_id: UUID, node: str, timeout: float = 20.0) -> Step:
        """Wait until the node of the event has begun (seconds)."""

        def begun() -> Step | None:
            found = [step for step in self.steps(event_id) if (step.node, step.what) == (node, "start")]
            return found[-1] if found else None

        return wait_until_sync(begun, timeout, f"node {node} of {event_id} to begin")

    def runs_of(self, event_id: UUID) -> dict[str, int]:
        """How often each node of an event has begun."""
        return dict(Counter(step.node for step in self.steps(event_id) if step.what == "start"))

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """From the SQLite file."""
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute(statement, values).fetchall()
        finally:
            connection.close()

    def members(self) -> set[str]:
        """Who is in the group; whoever lost its session comes back under another id."""
        admin = AdminClient({"bootstrap.servers": self.servers})
        (asked,) = admin.describe_consumer_groups([self.group]).values()
        return {member.member_id for member in asked.result(20).members}

    def committed(self) -> int:
        """How many records of the events topic the group has behind it."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": self.group})
        try:
            partitions = consumer.list_topics(self.topics.events, 20).topics[self.topics.events].partitions
            asked = [TopicPartition(self.topics.events, number) for number in partitions]
            return sum(max(0, each.offset) for each in consumer.committed(asked, 20))
        finally:
            consumer.close()

    def end(self, topic: str, isolation: str = "read_uncommitted") -> int:
        """How many records a reader of that isolation may see."""
        consumer = Consumer(
            {"bootstrap.servers": self.servers, "group.id": "reader", "isolation.level": isolation}
        )
        try:
            partitions = consumer.list_topics(topic, 20).topics[topic].partitions
            asked = [TopicPartition(topic, number) for number in partitions]
            return sum(consumer.get_watermark_offsets(each, 20)[1] for each in asked)
        finally:
            consumer.close()

    def stable_end(self, topic: str) -> int:
        """The same for readers of committed records alone."""
        return self.end(topic, "read_committed")

    def close(self) -> None:
        for worker in self.workers:
            worker.signal(signal.SIGKILL)
        for reader in (self._results, self._letters):
            if reader is not None:
                reader.close()


def run_of(
    kind: str = "good",
    *,
    a: float = 0.01,
    b: float = 0.01,
    c: float = 0.01,
    node: str = "b",
    times: int = 1,
    event_id: UUID | None = None,
    **more: Any,
) -> WorkflowEvent:
    """An event of the chaos graph; `a`, `b` and `c` are the seconds of its nodes."""
    recipe = {"kind": kind, "node": node, "times": times, "seconds": {"a": a, "b": b, "c": c}}
    return event({"recipe": recipe, **more}, event_id=event_id or new_event_id(), workflow_id="faults")


@contextmanager
def held(take: Callable[[], None], give_back: Callable[[], None]) -> Iterator[None]:
    """Something taken away for the block."""
    take()
    try:
        yield
    finally:
        give_back()
