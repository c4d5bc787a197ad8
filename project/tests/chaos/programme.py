"""One run: start everything, ask, hurt, let it come to rest, and gather what the oracle needs."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from confluent_kafka import Message

from kafka_devbroker import Broker, running_broker
from tests.chaos.at_work import AtWork
from tests.chaos.crew import Crew
from tests.chaos.evidence import Answer, ErrorLine, Evidence, Letter, Process, Settled, Size, Step
from tests.chaos.graph import HISTORY_VARIABLE
from tests.chaos.journal import Journal, Publisher
from tests.chaos.kept import keep
from tests.chaos.nemesis import Nemesis, points_in_turn, schedule
from tests.chaos.nursery import Life
from tests.chaos.recipes import planned
from tests.chaos.records import asks_on
from tests.chaos.settings import RunSettings
from tests.chaos.stalls import Ticker, synced_byte
from tests.chaos.stores import HurtableStore, running_store
from tests.chaos.witness import CommitWatcher, TopicWatcher, answer_of, letter_of
from tests.chaos.zygote import STATS_VARIABLE
from tests.support import wait_until_sync
from tests.support.topics import create_topics

log = logging.getLogger(__name__)

GROUP = "chaos"
EVENTS, RESULTS, LETTERS = "chaos-events", "chaos-results", "chaos-dead-letters"
_RESTING_S = 1.5


class Run:
    """A run under way."""

    def __init__(self, settings: RunSettings, broker: Broker, store: HurtableStore, stack: ExitStack) -> None:
        self.settings = settings
        self.broker = broker
        self.store = store
        self.folder = settings.report
        self.history = self.folder / "history.jsonl"
        self.stats = self.folder / "stats.jsonl"
        self.outages: list[tuple[float, float, str]] = []
        self.answers: list[Answer] = []
        self.letters: list[Letter] = []
        self.answered: set[str] = set()
        Path(f"{self.history}.tries").mkdir()
        self.stats.touch()
        self.history.touch()
        servers = broker.bootstrap_servers
        replicas = min(settings.nodes, 3)
        stamped = {"message.timestamp.type": "LogAppendTime"}
        create_topics(servers, [EVENTS], partitions=settings.partitions, replicas=replicas, config=stamped)
        create_topics(servers, [RESULTS, LETTERS], partitions=3, replicas=replicas, config=stamped)
        self.journal = Journal(self.folder / "journal.jsonl")
        self.publisher = Publisher(
            servers,
            EVENTS,
            planned(settings.seed, deadly=settings.pressure.deadly),
            self.journal,
            room=self._room,
            most=settings.events,
        )
        self.commits = CommitWatcher(servers, EVENTS, GROUP, settings.partitions)
        self.watchers = [
            TopicWatcher(servers, RESULTS, self._take_answer),
            TopicWatcher(servers, LETTERS, self._take_letter),
        ]
        self.ticker = Ticker(synced_byte(self.folder / "tick"))
        stack.callback(self.ticker.end)
        self.crew = Crew(self.folder, self._environment(), settings.names, static=settings.static)
        stack.callback(self.crew.close)
        self.at_work = AtWork(self.history)
        stack.callback(self.at_work.close)
        self.nemesis = Nemesis(
            schedule(
                settings.seed, settings.seconds, settings.names, settings.pressure, nodes=settings.nodes
            ),
            self.crew,
            mood=settings.pressure,
            points=points_in_turn(settings.seed),
            busy=self.at_work.is_busy,
            answered=lambda: len(self.answered),
            hurt_broker=self._hurt_broker,
            hurt_store=self._hurt_store,
        )

    def carry_out(self) -> Evidence:
        """The evidence, after the schedule is over and everything has come to rest or the time was up."""
        self.ticker.start()
        for watcher in self.watchers:
            watcher.start()
        self.commits.start()
        self.publisher.start()
        wait_until_sync(lambda: len(self.answered) > 0, 60, "the first answer")
        log.info("the first event is answered; %d deeds are planned", len(self.nemesis.deeds))
        began = time.monotonic()
        nemesis = threading.Thread(target=self.nemesis.run, name="nemesis")
        nemesis.start()
        while nemesis.is_alive() or time.monotonic() - began < self.settings.seconds:
            nemesis.join(0.5)
        self.publisher.end()
        self.crew.disarm()
        self._come_to_rest()
        self.crew.end()
        for watcher in self.watchers:
            watcher.end()
        self.commits.end()
        self.ticker.end()
        evidence = self._evidence()
        keep(evidence, self.folder)
        return evidence

    def _come_to_rest(self) -> None:
        """Wait until nothing is left to do; the oracle says what is, if the time is up."""
        deadline = time.monotonic() + self.settings.settle
        resting_since: float | None = None
        while time.monotonic() < deadline:
            sample = self.commits.samples[-1] if self.commits.samples else None
            if sample is None or sample.lag or time.time() - sample.time > 1:
                resting_since = None
            elif resting_since is None:
                resting_since = time.monotonic()
            elif time.monotonic() - resting_since > _RESTING_S:
                return
            time.sleep(0.1)
        log.warning("not at rest after %g s", self.settings.settle)

    def _room(self) -> int:
        return self.settings.pressure.outstanding - (self.publisher.asked - len(self.answered))

    def _take_answer(self, message: Message) -> None:
        answer = answer_of(message)
        self.answers.append(answer)
        self.answered.add(answer.event_id)

    def _take_letter(self, message: Message) -> None:
        self.letters.append(letter_of(message))

    def _hurt_broker(self, node: int, seconds: float) -> None:
        since = time.time()
        self.broker.kill(node)
        time.sleep(seconds)
        self.broker.restart(node)
        self.outages.append((since, time.time(), "broker"))

    def _hurt_store(self, seconds: float) -> None:
        since = time.time()
        self.store.hurt(seconds)
        self.outages.append((since, time.time(), "store"))

    def _environment(self) -> dict[str, str]:
        settings = self.settings
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.broker.bootstrap_servers,
            "KAFKA_WORKFLOW_EVENTS_TOPIC": EVENTS,
            "KAFKA_WORKFLOW_RESULTS_TOPIC": RESULTS,
            "KAFKA_DLQ_TOPIC": LETTERS,
            "KAFKA_CONSUMER_GROUP_ID": GROUP,
            "KAFKA_AUTO_OFFSET_RESET": "earliest",
            "KAFKA_SESSION_TIMEOUT_MS": str(round(settings.session * 1000)),
            "KAFKA_HEARTBEAT_INTERVAL_MS": str(round(settings.heartbeat * 1000)),
            "KAFKA_REBALANCE_TIMEOUT_MS": "10000",
            "WORKFLOW_STATE_URL": self.store.url,
            "WORKFLOW_MAX_CONCURRENCY": str(settings.slots),
            "WORKFLOW_SHUTDOWN_TIMEOUT": str(settings.drain),
            "WORKFLOW_MAX_CLAIMS": str(settings.max_claims),
            "WORKFLOW_DEAD_LETTER_LIMIT": "0",
            "LANGGRAPH_CONFIG": str(Path(__file__).with_name("langgraph.json")),
            HISTORY_VARIABLE: str(self.history),
            STATS_VARIABLE: str(self.stats),
        }

    def _evidence(self) -> Evidence:
        servers = self.broker.bootstrap_servers
        lives = self.crew.lives
        settled, errors = _read_logs(self.folder, self.settings.names, lives)

        def who(line: Mapping[str, Any]) -> int:
            return identity(line["pid"], line["time"], lives)

        return Evidence(
            asks=asks_on(servers, EVENTS, self.journal.lines),
            acknowledged={(line["partition"], line["offset"]) for line in self.journal.lines},
            answers=self.answers,
            letters=self.letters,
            steps=[
                Step(line["event"], line["node"], line["what"], line["epoch"], who(line), line["time"])
                for line in _lines(self.history)
            ],
            settled=settled,
            processes=[_process(life) for life in lives],
            outages=self.outages,
            stalls=self.ticker.stalls,
            samples=self.commits.samples,
            sizes=[Size(who(line), line["time"], line["tasks"], line["rss"]) for line in _lines(self.stats)],
            errors=errors,
            claims=self.store.claims(),
            max_claims=self.settings.max_claims,
            lease_s=self.settings.session,
            drain_s=self.settings.drain,
        )


@contextmanager
def prepared(settings: RunSettings) -> Iterator[Run]:
    """Broker, database and workers, gone with the block."""
    settings.report.mkdir(parents=True, exist_ok=False)
    properties = {
        "group.min.session.timeout.ms": "500",
        "group.initial.rebalance.delay.ms": "0",
        "offsets.topic.num.partitions": "1",
    }
    with ExitStack() as stack:
        broker = stack.enter_context(running_broker("apache", nodes=settings.nodes, properties=properties))
        store = stack.enter_context(running_store(settings.store, settings.report))
        yield Run(settings, broker, store, stack)


def identity(pid: int, at: float, lives: Sequence[Life]) -> int:
    """Which of the processes that had this id it was at that time."""
    # a line that was written before its process was told of is of the next one all the same
    own = [life for life in lives if life.pid == pid]
    living = [life for life in own if at <= (life.ended or at)]
    return min(living or own, key=lambda life: life.started).identity if own else pid


def _process(life: Life) -> Process:
    by_point = life.was_killed and life.ended_by_us is None and life.armed is not None
    return Process(
        name=life.name,
        pid=life.identity,
        started=life.started,
        ended=life.ended if life.ended is not None else time.time(),
        code=life.code if life.code is not None else 0,
        asked_at=life.asked_at,
        at_rest=life.ended_by_us == "end",
        pauses=tuple(life.pauses),
        point=life.armed.partition(":")[0] if by_point and life.armed else None,
    )


def _read_logs(folder: Path, names: list[str], lives: list[Life]) -> tuple[list[Settled], list[ErrorLine]]:
    settled: list[Settled] = []
    errors: list[ErrorLine] = []
    for name in names:
        own = sorted((life for life in lives if life.name == name), key=lambda life: life.started)
        for line in _log_lines(folder / f"{name}.log"):
            if not isinstance(line, dict):
                errors.append(ErrorLine(name, 0.0, "", f"not a log line: {line}"))
                continue
            at = _seconds(line["time"])
            if line["level"] in ("error", "critical"):
                errors.append(ErrorLine(name, at, line["logger"], json.dumps(line)))
            # a record without an id is no event, and a conflict's own dead letter no verdict on one
            settles = line.get("action") == "settled" and line.get("reason") != "conflict"
            if settles and "event_id" in line:
                pid = next((life.identity for life in reversed(own) if life.started <= at), 0)
                settled.append(Settled(line["event_id"], line["attempt"], pid, at))
    return settled, errors


def _log_lines(path: Path) -> Iterator[object]:
    if not path.exists():
        return
    with path.open(errors="replace") as file:
        for text in file:
            try:
                yield json.loads(text)
            except json.JSONDecodeError:
                # a line of a worker that was killed while it wrote is not an error of its
                if text.endswith("\n"):
                    yield text.rstrip()


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for line in file:
            yield json.loads(line)


def working_folder() -> Path:
    """Where reports go unless told otherwise."""
    return Path(os.environ.get("TMPDIR", "/tmp")) / "chaos-reports"
