"""The demo from start to end, each step with a deadline."""

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from kafka_devbroker import BackendName, Broker, BrokerError, available_backends, running_broker
from langgraph_integration.ops.demo.asking import Answer, ask_all, find_dead_letter
from langgraph_integration.ops.demo.batch import Examples, bad_event, headline_of
from langgraph_integration.ops.demo.screen import show_answers, show_bad_event
from langgraph_integration.ops.demo.service import DemoService, running_service
from langgraph_integration.ops.demo.steps import Steps
from langgraph_integration.ops.topics import create_topics
from workflow_events import WorkflowEvent
from workflow_events.dead_letter import DeadLetterEvent
from workflow_events.errors import BrokerUnavailable
from workflow_events.settings import KafkaSettings, TopicNames

Backend = Literal["auto", "tansu", "apache"]

_READY_S = 45.0
_ANSWERS_S = 60.0
_DEAD_LETTER_S = 10.0
_PARTITIONS = 3


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What the demo found. `letter` belongs to `bad`, the event that had to fail. Times are in seconds."""

    backend: BackendName
    answers: Sequence[Answer]
    bad: Answer
    letter: DeadLetterEvent
    batch_s: float
    total_s: float


def run_demo(screen: Console, *, backend: Backend = "auto", examples: Path | None = None) -> DemoReport:
    """Broker, topics, service, batch, answers, the end. Nothing is left running, whatever happens.

    Raises `BrokerUnavailable`, and `DemoFailed`, which says at which step and shows the service's log.
    """
    began = time.monotonic()
    source, steps, topics = Examples.find(examples), Steps(screen), TopicNames()
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="langgraph-kafka-demo-", ignore_cleanup_errors=True)
            )
        )
        with steps.step("broker") as said:
            broker = _start_broker(stack, backend)
            said.append(f"{broker.backend} at {broker.bootstrap_servers}")
        settings = KafkaSettings(broker.bootstrap_servers)
        with steps.step("topics") as said:
            said.append(", ".join(create_topics(settings, topics, partitions=_PARTITIONS)))
        with steps.step("service, in a process of its own") as said:
            service = stack.enter_context(
                running_service(broker.bootstrap_servers, topics, source.data, folder)
            )
            service.wait_ready(_READY_S)
            said.append(f"ready, health at http://127.0.0.1:{service.port}/readyz")
        batch_began = time.monotonic()
        *answers, bad = _ask(steps, service, settings, [*source.events(), bad_event()])
        batch_s = time.monotonic() - batch_began
        letter = find_dead_letter(settings, topics.dead_letters, str(bad.event.event_id), _DEAD_LETTER_S)
        show_answers(screen, answers)
        show_bad_event(screen, bad, letter)
        _check(service, answers, bad, letter)
        with steps.step("service stopped") as said:
            code = service.stop()
            said.append(f"exit code {code}")
            if code != 0:
                raise service.failed(f"the service ended with exit code {code}")
    assert letter is not None
    return DemoReport(broker.backend, answers, bad, letter, batch_s, time.monotonic() - began)


def show_summary(screen: Console, report: DemoReport) -> None:
    """The last line."""
    slowest = max(answer.latency_s for answer in report.answers)
    screen.print(
        Text.assemble(
            ("done  ", "bold green"),
            f"{len(report.answers)} analyses answered in {report.batch_s:.1f} s (slowest {slowest:.2f} s), "
            f"1 event refused with a dead letter, nothing left running; {report.total_s:.1f} s in all",
        ),
        soft_wrap=True,
    )


def _start_broker(stack: ExitStack, backend: Backend) -> Broker:
    """Never an external one: the demo writes into topics."""
    chosen: BackendName = (
        ("tansu" if available_backends()["tansu"] is None else "apache") if backend == "auto" else backend
    )
    try:
        return stack.enter_context(running_broker(chosen))
    except BrokerError as error:
        raise BrokerUnavailable(str(error)) from error


def _ask(
    steps: Steps, service: DemoService, settings: KafkaSettings, events: list[WorkflowEvent]
) -> list[Answer]:
    screen = steps.screen
    columns = (TextColumn("    analyses"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        bar = progress.add_task("analyses", total=len(events))

        def on_answer(answer: Answer) -> None:
            progress.advance(bar)
            if answer.found is not None:
                line = Text.assemble(
                    ("    ", ""),
                    (
                        f"{answer.found.event.status:<8}",
                        "green" if answer.found.event.status == "success" else "red",
                    ),
                    f"{answer.event.workflow_id:<20} {answer.latency_s:5.2f} s  ",
                    (answer.found.event.error or headline_of(answer.found.event.result), "dim"),
                )
                line.truncate(screen.width, overflow="ellipsis")
                screen.print(line, soft_wrap=True)

        answers = ask_all(settings, events, _ANSWERS_S, on_answer)
    missing = [answer.event.workflow_id for answer in answers if answer.found is None]
    if missing:
        raise service.failed(f"no result within {_ANSWERS_S:g} s for {', '.join(missing)}")
    return answers


def _check(
    service: DemoService, answers: Sequence[Answer], bad: Answer, letter: DeadLetterEvent | None
) -> None:
    unexpected = [
        f"{answer.event.workflow_id}: {answer.found.event.status}, {answer.found.event.error}"
        for answer in answers
        if answer.found is not None and answer.found.event.status != "success"
    ]
    if unexpected:
        raise service.failed(f"analyses ended badly: {'; '.join(unexpected)}")
    if bad.found is None or bad.found.event.status != "error":
        raise service.failed("the event that names an unknown graph was not answered with an error")
    if letter is None:
        raise service.failed(f"its dead letter did not show within {_DEAD_LETTER_S:g} s")
