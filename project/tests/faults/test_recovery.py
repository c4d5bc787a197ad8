"""How long the runs and partitions of a killed worker wait, at the settings of the documents, in figures."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from kafka_devbroker import Broker
from tests.faults.bench import Bench, Worker, run_of
from tests.langgraph_integration.topics import raw
from tests.support import wait_until_sync
from tests.support.status import status
from workflow_events import WorkflowEvent

pytestmark = [pytest.mark.apache, pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass(frozen=True, slots=True)
class Timing:
    """Of a group, in milliseconds."""

    session: int
    heartbeat: int

    @property
    def bound(self) -> float:
        """What the runs of a killed member may wait (seconds)."""
        return (self.session + self.heartbeat) / 1000 + 2.0


QUICK, DEFAULT = Timing(6_000, 1_000), Timing(30_000, 3_000)

both = pytest.mark.parametrize("timing", [QUICK, DEFAULT], ids=["6000-1000", "defaults"])


@both
def test_the_runs_of_a_killed_worker_go_on_elsewhere(
    make_bench: Callable[..., Bench], quick_broker: Broker, timing: Timing
) -> None:
    """After kill -9 a run goes on at the other worker within session timeout, heartbeat interval and two
    seconds, and so does what is published to the dead one's partition.
    """
    pair = _Pair(make_bench(quick_broker, partitions=2), timing)
    in_flight = pair.run(b=200.0)
    pair.bench.in_node(in_flight.event_id, "b")
    killed_at = time.time()
    pair.victim.kill()
    later = pair.run()
    answered = pair.bench.verdict(later.event_id, timing.bound + 10).time - killed_at
    resumed = pair.resumed(in_flight, timing.bound + 10) - killed_at

    status.info("%s: the run went on after %.1f s", timing, resumed)
    status.info("%s: the next event was answered after %.1f s (bound %.1f s)", timing, answered, timing.bound)
    assert max(resumed, answered) <= timing.bound


@both
def test_a_static_member_that_was_killed_takes_its_place_again(
    make_bench: Callable[..., Bench], quick_broker: Broker, timing: Timing
) -> None:
    """Started again under its name it serves its partition soon, without a rebalance; the run that it had
    goes on when its lease has lapsed.
    """
    pair = _Pair(make_bench(quick_broker, partitions=2), timing, static=True)
    in_flight = pair.run(b=200.0)
    pair.bench.in_node(in_flight.event_id, "b")
    killed_at = time.time()
    pair.victim.kill()
    pair.come_back()
    later = pair.run()
    answered = pair.bench.verdict(later.event_id, timing.bound + 10).time - killed_at
    resumed = pair.resumed(in_flight, timing.bound + 10) - killed_at

    status.info("%s, static: the next event was answered after %.1f s", timing, answered)
    status.info("%s, static: the run went on after %.1f s (bound %.1f s)", timing, resumed, timing.bound)
    assert answered <= timing.session / 1000
    assert resumed <= timing.bound


@pytest.mark.parametrize("static", [False, True], ids=["dynamic", "static"])
def test_a_static_member_that_leaves_keeps_its_partitions_for_a_session(
    make_bench: Callable[..., Bench], quick_broker: Broker, static: bool
) -> None:
    """Why static membership is not the default: what ends in good order and does not come back is waited for
    until its session is over. A dynamic member gives its partitions away at once.
    """
    pair = _Pair(make_bench(quick_broker, partitions=2), QUICK, static=static)
    pair.victim.signal(signal.SIGTERM)
    assert pair.victim.exit_code() == 0
    left_at = time.time()
    later = pair.run()
    waited = pair.bench.verdict(later.event_id, QUICK.bound + 10).time - left_at

    kind = "static" if static else "dynamic"
    status.info("%s, %s: the partition of a worker that left waited %.1f s", QUICK, kind, waited)
    assert (waited > QUICK.session / 2000) == static


class _Pair:
    """Two workers with a partition each; one of them, the victim, has partition 0."""

    def __init__(self, bench: Bench, timing: Timing, *, static: bool = False) -> None:
        self.bench = bench
        self._timing = timing
        self._static = static
        workers = [self._worker(place) for place in (0, 1)]
        wait_until_sync(self._share_the_work, 40, "each worker to have a partition")
        owner = self._owner(0)
        self._place = [worker.pid for worker in workers].index(owner)
        self.victim = workers[self._place]

    def run(self, b: float = 0.01, partition: int = 0) -> WorkflowEvent:
        """An event published to the victim's partition."""
        asked = run_of(b=b)
        self.bench.send([replace(raw(asked), partition=partition)])
        return asked

    def come_back(self) -> None:
        """The victim, started again in its place."""
        self._worker(self._place)

    def resumed(self, asked: WorkflowEvent, timeout: float) -> float:
        """When node b of a run began in another process than the victim."""

        def begun() -> float | None:
            steps = self.bench.steps(asked.event_id)
            return next((s.time for s in steps if s.node == "b" and s.pid != self.victim.pid), None)

        return wait_until_sync(begun, timeout, "another worker to go on with the run")

    def _worker(self, place: int) -> Worker:
        settings = {"KAFKA_GROUP_INSTANCE_ID": f"place-{place}"} if self._static else {}
        return self.bench.worker(
            KAFKA_SESSION_TIMEOUT_MS=str(self._timing.session),
            KAFKA_HEARTBEAT_INTERVAL_MS=str(self._timing.heartbeat),
            **settings,  # type: ignore[arg-type]  # names of settings, none of them an option
        )

    def _share_the_work(self) -> bool:
        return self._owner(0) != self._owner(1)

    def _owner(self, partition: int) -> int:
        """The process that runs what is published to a partition."""
        asked = self.run(partition=partition)
        return self.bench.in_node(asked.event_id, "a").pid
