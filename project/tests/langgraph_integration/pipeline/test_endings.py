"""The table of endings: what happened -> which result, and which dead letter, in this order."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, get_args

import pytest

from langgraph_integration.pipeline.asked import read
from langgraph_integration.pipeline.delivery import Delivery, Partition
from langgraph_integration.pipeline.happenings import RecordIgnored
from langgraph_integration.pipeline.ledger import Granted, Position
from langgraph_integration.pipeline.outcome import Failed, Outcome, Succeeded, Unfulfilled
from langgraph_integration.retry import RetryConfig
from langgraph_integration.store import MemoryDatabase, open_store
from tests.langgraph_integration.events import event, value_of
from tests.langgraph_integration.memory_source import MemoryTopic
from tests.langgraph_integration.pipeline.failures import HttpError
from tests.langgraph_integration.rig import Rig, running_rig
from tests.support import wait_until
from workflow_events import EventType, WorkflowEvent
from workflow_events.dead_letter import DeadLetterReason
from workflow_events.errors import (
    BrokerUnavailable,
    NotJson,
    StoreUnavailable,
    UnknownGraph,
    WorkflowFailed,
    WorkflowTimeout,
)
from workflow_events.ids import dead_letter_id, dead_letter_id_at, result_id

RETRIED = "Processing failed after retries: "


@dataclass(frozen=True)
class Ending:
    """One row: what the graph does (an error to raise or an outcome), and what must come of it."""

    happened: Exception | Outcome
    status: str
    error: str | None
    reason: str | None
    tries: int = 1


ENDINGS = {
    "finished": Ending(Succeeded({"answer": 42}), "success", None, None),
    "finished with a failure": Ending(
        Unfulfilled({"completed": False}, "no such column"), "failure", "no such column", None
    ),
    "finished interrupted": Ending(
        Failed("interrupted", RETRIED + "asks a person", ValueError("asks a person")),
        "error",
        RETRIED + "asks a person",
        "interrupted",
    ),
    "permanent error": Ending(ValueError("bad input"), "error", RETRIED + "bad input", "permanent"),
    "permanent error without words": Ending(KeyError(), "error", RETRIED + "KeyError", "permanent"),
    "a client error of a model": Ending(HttpError("refused", 400), "error", RETRIED + "refused", "permanent"),
    "result that is not JSON": Ending(
        NotJson("result.x is a socket", path="result.x"),
        "error",
        RETRIED + "result.x is a socket",
        "result-invalid",
    ),
    "transient after retries": Ending(
        ConnectionError("no route"), "error", RETRIED + "no route", "retries-exhausted", tries=4
    ),
    "an overloaded model after retries": Ending(
        HttpError("overloaded", 529), "error", RETRIED + "overloaded", "retries-exhausted", tries=4
    ),
    "timeout": Ending(
        WorkflowTimeout("timed out after 5 seconds"),
        "error",
        RETRIED + "timed out after 5 seconds",
        "timeout",
        tries=4,
    ),
    "unknown graph": Ending(
        UnknownGraph("unknown graph 'x'; known: y"),
        "error",
        "Invalid event: unknown graph 'x'; known: y",
        "invalid",
    ),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())
async def test_the_ending_of_a_run_makes_its_result_and_its_dead_letter(ending: Ending) -> None:
    """One result always; one dead letter where the table asks for one; then the offset is committed."""
    tries = 0

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        nonlocal tries
        tries += 1
        if isinstance(ending.happened, Exception):
            raise ending.happened
        return {}

    def to_outcome(_: WorkflowEvent, __: Mapping[str, Any]) -> Outcome:
        assert not isinstance(ending.happened, Exception)
        return ending.happened

    asked = event()
    async with running_rig(run, to_outcome=to_outcome) as rig:
        rig.publish(asked, attempt=2)
        await rig.settled()

    (result,) = rig.sink.decoded()
    assert (result.status, result.error, tries) == (ending.status, ending.error, ending.tries)
    assert result.correlation_id == asked.event_id
    assert (result.workflow_id, result.workflow_run_id) == ("dag", "run-1")
    assert (result.attempt, result.result_id) == (2, result_id(asked.event_id, 2, ending.status))
    assert (result.result == {}) == (ending.status == "error")
    if ending.reason is None:
        assert rig.sink.dead_letters == []
        return
    (letter,) = rig.sink.letters()
    assert rig.sink.order == ["dead letter", "result"]
    assert (letter.reason, letter.attempt, letter.retry_count) == (ending.reason, 2, ending.tries - 1)
    assert letter.dlq_id == dead_letter_id(asked.event_id, 2)
    assert letter.original_event == json.loads(value_of(asked))
    assert letter.origin is not None
    assert b64decode(letter.origin.value_b64 or "") == value_of(asked)


async def test_a_result_too_large_for_its_topic_is_an_error() -> None:
    """The asker learns the sizes and what to do about them."""

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        return {"rows": "x" * 5000}

    async with running_rig(run) as rig:
        rig.sink.result_limit_bytes = 4000
        rig.publish(event())
        await rig.settled()

    (result,), (letter,) = rig.sink.decoded(), rig.sink.letters()
    assert (result.status, letter.reason) == ("error", "result-invalid")
    assert result.error is not None
    assert "its topic takes 4000" in result.error


async def test_a_value_that_json_cannot_carry_is_named() -> None:
    """NaN is no number on the wire; the path says where it stands."""

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        return {"figures": [1.0, float("nan")]}

    async with running_rig(run) as rig:
        rig.publish(event())
        await rig.settled()

    (result,), (letter,) = rig.sink.decoded(), rig.sink.letters()
    assert (result.status, letter.reason) == ("error", "result-invalid")
    assert "result.figures[1]" in str(result.error)


async def test_an_event_that_killed_its_process_too_often_is_given_up() -> None:
    """Each owner died with the run in its hands; the sixth answers and does not try."""
    database, topic = MemoryDatabase(), MemoryTopic()
    asked = event()
    position = topic.append(value_of(asked), key=str(asked.event_id).encode())
    for number in range(3):
        await _claim_and_die(database, asked, position, f"dead-{number}")
    ran = []

    async def run(asked: WorkflowEvent) -> dict[str, Any]:
        ran.append(asked)
        return {}

    async with running_rig(run, database=database, owner="alive", topic=topic, max_claims=3) as rig:
        await rig.settled()

    (result,), (letter,) = rig.sink.decoded(), rig.sink.letters()
    assert ran == []
    assert (result.status, letter.reason) == ("error", "crash-loop")
    assert result.error == RETRIED + "its process ended 3 times while the run was in flight"


async def _claim_and_die(
    database: MemoryDatabase, asked: WorkflowEvent, position: Position, owner: str
) -> None:
    """A process that dies gives nothing back: its lease simply lapses."""
    delivery = Delivery(position, str(asked.event_id).encode(), value_of(asked), 0, 1)
    ask = read(delivery, max_bytes=10_000).ask(delivery)
    lease_time = timedelta(milliseconds=1)
    async with open_store("memory:", owner=owner, lease_time=lease_time, memory=database) as store:

        async def claimed() -> bool:
            return isinstance(await store.ledger.claim(ask), Granted)

        await wait_until(claimed, description="the lease of the one before to lapse")


async def test_a_deadline_that_has_passed_is_not_run() -> None:
    """Nobody waits for the answer any more."""
    ran = []

    async def run(asked: WorkflowEvent) -> dict[str, Any]:
        ran.append(asked)
        return {}

    async with running_rig(run) as rig:
        rig.publish(event(), deadline_ms=int(time.time() * 1000) - 1)
        await rig.settled()

    (result,), (letter,) = rig.sink.decoded(), rig.sink.letters()
    assert ran == []
    assert (result.status, result.error, letter.reason) == ("error", "deadline exceeded", "deadline")


async def test_another_payload_under_a_known_id_is_a_conflict_and_leaves_the_first_asker_alone() -> None:
    """No result on that id: it would answer somebody who asked for something else."""
    first = event({"task": "mine"})
    second = event({"task": "yours"}, event_id=first.event_id)
    async with running_rig() as rig:
        rig.publish(first)
        await rig.settled()
        where = rig.publish(second)
        await rig.settled()

    (letter,) = rig.sink.letters()
    assert [result.status for result in rig.sink.decoded()] == ["success"]
    assert (letter.reason, letter.dlq_id) == ("conflict", dead_letter_id_at("events", 0, where.offset))
    assert letter.original_event == json.loads(value_of(second))


async def test_the_dead_letter_of_a_conflict_is_the_same_whoever_has_asked_meanwhile() -> None:
    """Sent again after a crash: no ledger keeps it, so nothing in it may depend on the other's run."""
    first = event({"task": "mine"})
    second = event({"task": "yours"}, event_id=first.event_id)

    async def fail(_: WorkflowEvent) -> dict[str, Any]:
        raise WorkflowFailed("no")

    async with running_rig(fail) as rig:
        rig.publish(first)
        await rig.settled()
        where = rig.publish(second)
        await rig.settled()
        rig.publish(first, attempt=2)
        await rig.settled()
        rig.topic.committed[Partition("events", 0)] = where.offset
        await rig.source.assign(rig.topic.all_partitions)
        await wait_until(lambda: len(_conflicts(rig)) == 2, description="the conflict to be told again")

    assert len(set(_conflicts(rig))) == 1


def _conflicts(rig: Rig) -> list[bytes]:
    return [record for _, record, _ in rig.sink.dead_letters if b'"conflict"' in record]


@pytest.mark.parametrize("kind", [each for each in EventType if each is not EventType.WORKFLOW_TRIGGERED])
async def test_other_event_types_are_counted_and_passed_over(kind: EventType) -> None:
    """Only `workflow.triggered` asks for a run."""
    async with running_rig() as rig:
        rig.publish(event(event_type=kind))
        await rig.settled()

    assert rig.sink.order == []
    assert rig.happenings == [RecordIgnored(f"event type {kind.value}")]


@pytest.mark.parametrize("error", [StoreUnavailable("disk full"), BrokerUnavailable("no broker")])
async def test_a_fault_of_the_infrastructure_waits_and_is_no_ending(error: Exception) -> None:
    """The run goes on when it is over; neither a retry is spent nor a dead letter written."""
    faults = [error]

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        if faults:
            raise faults.pop()
        return {"answer": 42}

    async with running_rig(run, retry=RetryConfig(max_retries=0)) as rig:
        rig.publish(event())
        await wait_until(lambda: rig.gate.reasons, description="the intake to pause")
        await rig.settled()

    assert [result.status for result in rig.sink.decoded()] == ["success"]
    assert rig.gate.is_open


async def test_a_dead_letter_topic_that_is_away_is_waited_for() -> None:
    """A dead letter that cannot be sent is a retry, never a drop; the offset waits with it."""

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        raise ValueError("bad")

    async with running_rig(run) as rig:
        rig.sink.available = False
        rig.publish(event())
        await wait_until(lambda: "publish" in rig.gate.reasons, description="the intake to pause")
        await rig.committer.commit_ready(quiet=True)
        meanwhile = rig.topic.committed[Partition("events", 0)]
        rig.sink.available = True
        await rig.settled()

    assert meanwhile == 0
    assert rig.sink.order == ["dead letter", "result"]


def test_every_reason_of_the_contract_is_in_this_table() -> None:
    """A new reason needs a row here."""
    elsewhere = {"crash-loop", "deadline", "conflict"}
    assert {each.reason for each in ENDINGS.values() if each.reason} | elsewhere == set(
        get_args(DeadLetterReason)
    )
