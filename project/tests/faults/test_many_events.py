"""Five thousand events: behind one long run, and into a release that is broken."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from uuid import UUID

import pytest

from kafka_devbroker import Broker
from kafka_devbroker.net import free_ports
from tests.chaos.evidence import Answer
from tests.faults.bench import Bench, Worker
from tests.langgraph_integration.events import event
from tests.langgraph_integration.ops.command_line import started
from tests.langgraph_integration.ops.test_serve import page
from tests.support import wait_until_sync
from tests.support.status import status
from workflow_events import WorkflowEvent
from workflow_events.ids import new_event_id

pytestmark = [pytest.mark.apache, pytest.mark.slow]

_MANY = 5_000
_LONG_S = float(os.environ.get("LONG_RUN_SECONDS") or 0)
"""How long the long run is at least; 600 for the ten minutes of the fault programme."""

_ANSWERED_S = 5.0
_GRAPHS = str(Path(__file__).with_name("one_node.json"))


@pytest.mark.timeout(600 + 2 * _LONG_S)
@pytest.mark.parametrize("store", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_what_was_settled_behind_a_long_run_is_answered_from_the_ledger(
    make_bench: Callable[..., Bench],
    quick_broker: Broker,
    tmp_path: Path,
    store: str,
    request: pytest.FixtureRequest,
) -> None:
    """The committed offset cannot pass a long run: after kill -9 the 5,000 short ones behind it are read
    again, none of them runs again, and all are answered within five seconds. The long one goes on.
    """
    dsn = request.getfixturevalue("postgres_dsn") if store == "postgres" else None
    bench = make_bench(quick_broker, partitions=1, state_url=dsn)
    go_on = tmp_path / "go-on"
    long_one, last = _asked(waits_for=str(go_on)), _asked()
    short = [_asked() for _ in range(_MANY)]
    first = _worker(bench)
    bench.publish([long_one, *short])
    bench.answers(_MANY, 400)
    assert bench.committed() == 0

    first.kill()
    # after the others in its partition, so that its answer says when they are done
    bench.publish([last])
    heir = _worker(bench)
    took = bench.verdict(last.event_id).time - _consuming_since(heir)
    status.info("%s: %d settled events answered from the ledger in %.2f s", store, _MANY, took)
    began = min(step.time for step in bench.steps(long_one.event_id))
    wait_until_sync(lambda: time.time() >= began + _LONG_S, _LONG_S + 10, "the long run to be long enough")
    go_on.touch()
    long_verdict = bench.verdict(long_one.event_id)
    wait_until_sync(lambda: bench.committed() == _MANY + 2, 20, "all offsets to be committed")

    status.info("%s: the long run took %.0f s", store, long_verdict.time - began)
    runs = Counter(step.event_id for step in bench.steps())
    assert runs.pop(str(long_one.event_id)) == 2
    assert runs == Counter(dict.fromkeys([str(each.event_id) for each in (*short, last)], 1))
    assert len(bench.answers(0)) == _MANY + 2
    assert took < _ANSWERED_S


@pytest.mark.timeout(400)
def test_a_graph_broken_by_a_deploy_stops_the_intake_until_it_is_mended(
    make_bench: Callable[..., Bench], quick_broker: Broker, tmp_path: Path
) -> None:
    """Of 5,000 events at most 200 become dead letters, then the intake pauses; after the mend the same
    process finds out by itself, and every event has its answer.
    """
    bench = make_bench(quick_broker)
    broken = tmp_path / "broken"
    broken.touch()
    events = [_asked(broken_while=str(broken)) for _ in range(_MANY)]
    bench.publish(events)
    worker = _worker(bench)
    bench.letters(101)
    # a pause is shown by what does not happen: two seconds are time enough for hundreds of runs
    beats = worker.beats()
    wait_until_sync(lambda: worker.beats() >= beats + 4, 20, "two seconds of its life")
    paused_with = len(bench.letters(0))
    status.info("intake paused after %d dead letters of %d events", paused_with, _MANY)
    broken.unlink()
    mended_at = time.time()
    answers = bench.answers(_MANY, 300)

    ends = Counter(answer.status for answer in answers)
    took = max(answer.time for answer in answers) - mended_at
    status.info("first success %.1f s after the mend", _first_success(answers) - mended_at)
    status.info("all answered %.1f s after the mend: %s", took, dict(ends))
    assert 101 <= paused_with <= 200
    assert ends["error"] == len(bench.letters(0))
    # one that was let through to try may still have met the broken graph
    assert ends["error"] <= paused_with + 1
    assert ends["success"] == _MANY - ends["error"]
    assert {UUID(answer.event_id) for answer in answers} == {each.event_id for each in events}
    worker.signal(signal.SIGTERM)
    assert worker.exit_code() == 0


@pytest.mark.timeout(200)
@pytest.mark.parametrize("workers", [2, 8])
def test_workers_of_one_service_share_the_limit_also_where_the_graph_fails_late(
    make_bench: Callable[..., Bench], quick_broker: Broker, tmp_path: Path, workers: int
) -> None:
    """Each has a hundred places, which all would be taken when the first run fails after a second: at most
    200 dead letters all the same, then all of them pause.
    """
    bench = make_bench(quick_broker, partitions=workers)
    broken = tmp_path / "broken"
    broken.touch()
    bench.publish([_asked(broken_while=str(broken), fails_after=1.0) for _ in range(_MANY)])
    log, port = tmp_path / "serve.log", free_ports(1)[0]
    environment = bench.environment() | {"LANGGRAPH_CONFIG": _GRAPHS, "WORKFLOW_HTTP_PORT": str(port)}
    with started("serve", "--workers", str(workers), log_file=log, environment=environment) as process:
        wait_until_sync(lambda: _paused(port), 120, "the intake to pause")
        quiet_since = time.monotonic()
        wait_until_sync(lambda: time.monotonic() > quiet_since + 3, 10, "what was in flight to end")
        # a machine that stands still for a session has some sent twice, byte for byte
        paused_with = len({letter.dlq_id for letter in bench.letters(0)})
        in_flight = json.loads(page(port, "/readyz")[1])["facts"]["in_flight"]
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)

    status.info("%d workers paused after %d dead letters of %d events", workers, paused_with, _MANY)
    assert in_flight == 0
    assert 101 <= paused_with <= 200
    assert code == 0, log.read_text()[-3000:]


def _paused(port: int) -> bool:
    code, text = page(port, "/readyz")
    return code == 503 and "too many runs" in text and json.loads(text)["facts"]["in_flight"] == 0


def _worker(bench: Bench) -> Worker:
    return bench.worker(LANGGRAPH_CONFIG=_GRAPHS, WORKFLOW_EXECUTION_TIMEOUT=f"{_LONG_S + 300}")


def _asked(**order: str | float) -> WorkflowEvent:
    return event({"done": False, **order}, event_id=new_event_id(), workflow_id="faults")


def _consuming_since(worker: Worker) -> float:
    """When it had its partitions and began to take events (seconds since 1970)."""
    line = next(line for line in worker.lines() if line.get("action") == "consuming")
    return datetime.fromisoformat(line["time"]).timestamp()


def _first_success(answers: list[Answer]) -> float:
    return min(answer.time for answer in answers if answer.status == "success")
