"""`langgraph-kafka serve --workers N`: one service out of several processes."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from kafka_devbroker.net import free_ports
from langgraph_integration.ops.metric_table import MetricName
from langgraph_integration.ops.metrics import Metrics
from langgraph_integration.ops.settings import available_cores, worker_count
from langgraph_integration.ops.supervisor import Backoff
from langgraph_integration.ops.workers.report import CrewMetrics, silent_for, together
from langgraph_integration.pipeline.delivery import Partition
from langgraph_integration.pipeline.happenings import VerdictPublished
from langgraph_integration.pipeline.status import ServiceStatus, liveness, readiness
from tests.langgraph_integration.ops.command_line import run, started
from tests.langgraph_integration.ops.test_serve import GRAPH, page
from tests.support import wait_until_sync
from workflow_events.errors import ConfigurationError
from workflow_events.settings import TopicNames

FIRST, SECOND = Partition("events", 0), Partition("events", 1)


@dataclass(frozen=True, slots=True)
class Serving:
    """A service under a supervisor, and where to ask it."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    @property
    def workers(self) -> set[int]:
        """The processes it has started that still run."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return {int(pid) for pid in children.split()}

    def ready(self, workers: int) -> bool:
        """Whether so many workers run, and all of them take events."""
        assert self.process.poll() is None, self.log.read_text()
        everyone = f"{MetricName.WORKERS} {workers}.0"
        return page(self.port, "/readyz")[0] == 200 and everyone in page(self.port, "/metrics")[1]

    def metric(self, name: str) -> float:
        """The value of a sample, 0 where there is none."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", page(self.port, "/metrics")[1], re.MULTILINE)
        return float(found[1]) if found else 0.0


@contextmanager
def serving(folder: Path, workers: int = 2) -> Iterator[Serving]:
    """A service with the greeter, all its workers ready."""
    (folder / "agents.py").write_text(GRAPH)
    manifest = folder / "langgraph.json"
    manifest.write_text(json.dumps({"dependencies": ["."], "graphs": {"greeter": "./agents.py:graph"}}))
    port = free_ports(1)[0]
    arguments = ("serve", "--config", str(manifest), "--http-port", str(port), "--from-beginning")
    log = folder / "service.log"
    with started(*arguments, "--workers", str(workers), log_file=log) as process:
        service = Serving(process, port, log)
        wait_until_sync(lambda: service.ready(workers), timeout=60, description="all workers to be ready")
        yield service
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(40) == 0, log.read_text()


def ask(name: str) -> str:
    """The id of a new event."""
    return run("trigger", "--data", json.dumps({"name": name})).out.strip()


@pytest.mark.slow
@pytest.mark.timeout(150)
@pytest.mark.topics(partitions=4)
def test_workers_share_the_events_and_are_counted_as_one(
    kafka_environment: TopicNames, tmp_path: Path
) -> None:
    """One group, one page: whoever ran it, an answer counts once."""
    with serving(tmp_path) as service:
        codes = [run("result", ask("Ada"), "--timeout", "20").code for _ in range(4)]
        # an answer is read before its worker has told that it was given
        counted = f'{MetricName.EVENTS}{{status="success"}}'
        wait_until_sync(lambda: service.metric(counted) >= 4, description="all answers to be counted")
        answered = service.metric(counted)
        facts = json.loads(page(service.port, "/readyz")[1])["facts"]

        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(40) == 0, service.log.read_text()

    assert codes == [0, 0, 0, 0]
    assert answered == 4
    assert len(facts["partitions"]) == 4
    assert facts["workers"] == 2
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    assert {line["worker"] for line in lines if line["message"] == "stopped"} == {1, 2}


@pytest.mark.slow
@pytest.mark.timeout(150)
@pytest.mark.topics(partitions=4)
def test_a_worker_that_died_is_started_again(kafka_environment: TopicNames, tmp_path: Path) -> None:
    """Nobody needs to look after it: the service is whole again, and tells that it was not."""
    with serving(tmp_path) as service:
        before = service.workers
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        wait_until_sync(
            lambda: len(service.workers - {victim}) == 2 and service.ready(2),
            timeout=60,
            description="another worker in its place",
        )
        result = run("result", ask("Ada"), "--timeout", "40")
        restarts = service.metric(MetricName.WORKER_RESTARTS)

    assert result.code == 0, result.err
    assert restarts == 1
    ended = [json.loads(each) for each in service.log.read_text().splitlines() if "worker_ended" in each]
    assert [line["exit_code"] for line in ended] == [-signal.SIGKILL]


@pytest.mark.slow
@pytest.mark.timeout(150)
@pytest.mark.topics(partitions=4)
def test_workers_end_when_their_supervisor_is_killed(kafka_environment: TopicNames, tmp_path: Path) -> None:
    """They stop in order by themselves: none is left behind that nobody knows of."""
    with serving(tmp_path) as service:
        workers = service.workers
        service.process.kill()
        service.process.wait()
        wait_until_sync(
            lambda: not any(is_running(pid) for pid in workers),
            timeout=30,
            description="the end of all workers",
        )

    assert service.log.read_text().count('"action":"supervisor_gone"') == 2


def is_running(pid: int) -> bool:
    """Whether the process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--config", "nope.json"), "LANGGRAPH_CONFIG nope.json: No such file or directory"),
        (("--config", "pyproject.toml"), "pyproject.toml: "),
        (("--state-url", "mysql://x"), "WORKFLOW_STATE_URL: mysql:... is no store, accepted are "),
    ],
)
def test_settings_that_can_be_checked_are_refused_before_a_worker_is_started(
    arguments: tuple[str, ...], text: str
) -> None:
    """One line instead of a log, as with one worker."""
    ran = run("serve", *arguments, "--workers", "2", "--http-port", "0")

    assert ran.code == 2
    assert ran.err.startswith(f"error: {text}")
    assert len(ran.err.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_settings_that_no_worker_can_use_end_the_service(
    kafka_environment: TopicNames, tmp_path: Path
) -> None:
    """Exit code 2 and the file's name, instead of one start after the other."""
    manifest = tmp_path / "langgraph.json"
    manifest.write_text(json.dumps({"graphs": {"greeter": "./missing.py:graph"}}))
    ran = run("serve", "--config", str(manifest), "--workers", "2", "--http-port", "0", timeout=60)

    assert ran.code == 2
    assert "missing.py" in ran.err


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_a_broker_that_is_away_from_the_start_ends_the_service(tmp_path: Path) -> None:
    """Exit code 1, as with a single process: whoever started it sees that it does not run."""
    servers = f"127.0.0.1:{free_ports(1)[0]}"
    state = f"sqlite:{tmp_path / 'state.db'}"
    arguments = ("--bootstrap-servers", servers, "--state-url", state, "--http-port", "0", "--workers", "2")
    ran = run("serve", *arguments, timeout=80)

    assert ran.code == 1
    assert servers in ran.err


def test_one_worker_runs_on_each_core_unless_the_state_dies_with_its_process() -> None:
    """Memory is not shared: two workers would not know of each other's runs."""
    assert worker_count(None, "sqlite:/tmp/state.db") == available_cores() >= 1
    assert worker_count(None, "memory:") == 1
    assert worker_count(3, "memory:") == 3


def test_no_worker_at_all_is_refused() -> None:
    """A service that runs nothing would look like one that works."""
    with pytest.raises(ConfigurationError, match="WORKFLOW_WORKERS"):
        worker_count(0, "sqlite:/tmp/state.db")


def test_a_dead_worker_waits_longer_each_time_until_it_has_lived() -> None:
    """1, 2, 4 and so on up to 30 seconds; a life of a minute counts as healthy."""
    backoff, waits = Backoff(), [0.0]
    for _ in range(7):
        waits.append(backoff.after(waits[-1], lived_s=0.2))

    assert waits[1:] == [1, 2, 4, 8, 16, 30, 30]
    assert backoff.after(30, lived_s=61) == 1


def working(**facts: object) -> ServiceStatus:
    """A worker that does well, but for these."""
    now: dict[str, object] = {
        "started_at": datetime(2026, 1, 1, tzinfo=UTC),
        "running": True,
        "joined": True,
        "last_poll_age_s": 0.1,
        "partitions": (FIRST,),
        "main_loop_beat_s": 0.0,
        "kafka_loop_beat_s": 0.0,
    }
    return ServiceStatus(**(now | facts))  # type: ignore[arg-type]  # the names are the dataclass's own


def test_amounts_are_added_up_and_ages_are_the_worst() -> None:
    """What an operator sees of two workers."""
    both = together(
        {
            1: working(in_flight=3, slots=10, lags={FIRST: 5}, last_poll_age_s=0.1),
            2: working(in_flight=4, slots=10, lags={SECOND: 7}, last_poll_age_s=0.4, partitions=(SECOND,)),
        },
        stopping=False,
    )

    assert (both.in_flight, both.slots, both.workers) == (7, 20, 2)
    assert both.partitions == (FIRST, SECOND)
    assert both.lags == {FIRST: 5, SECOND: 7}
    assert both.last_poll_age_s == 0.4
    assert readiness(both) == []


def test_a_worker_that_starts_again_does_not_make_the_others_unready() -> None:
    """Its partitions are theirs meanwhile; before any worker runs the service is not ready."""
    assert readiness(together({1: working(), 2: ServiceStatus()}, stopping=False)) == []
    assert readiness(together({1: ServiceStatus(), 2: ServiceStatus()}, stopping=False)) == ["not started"]


def test_a_paused_worker_is_named() -> None:
    """Its partitions wait, so the service is not ready, and the reason says whose they are."""
    paused = working(gate_reasons={"store": "disk full"})

    assert readiness(together({1: working(), 2: paused}, stopping=False)) == [
        "intake paused: store: disk full (worker 2)"
    ]


def test_a_worker_that_does_not_answer_grows_old() -> None:
    """A process that was stopped cannot tell that it is stuck; its silence does."""
    assert liveness(silent_for(working(), 10.0)) == []
    assert "blocked for 130 s" in liveness(together({1: silent_for(working(), 130.0)}, stopping=False))[0]


def test_what_a_dead_worker_counted_stays_counted() -> None:
    """A counter that went back would look like a storm of new events."""
    first, second, crew = Metrics(), Metrics(), CrewMetrics()
    for metrics in (first, second, second):
        metrics.observe(VerdictPublished("id", "success", None, 0.2))
    crew.totals.update(1, list(first.registry.collect()))
    crew.totals.update(2, list(second.registry.collect()))
    crew.totals.end(2)
    crew.totals.restarts += 1
    text = crew.page().decode()

    assert f'{MetricName.EVENTS}{{status="success"}} 3.0' in text
    assert f'{MetricName.RUN_DURATION}_count{{status="success"}} 3.0' in text
    assert f'{MetricName.RUN_DURATION}_bucket{{le="0.25",status="success"}} 3.0' in text
    assert f"{MetricName.WORKER_RESTARTS} 1.0" in text


def test_a_worker_that_is_started_again_resets_no_counter() -> None:
    """Its zeros are added to what the one before it had counted."""
    before, crew = Metrics(), CrewMetrics()
    before.observe(VerdictPublished("id", "error", "timeout", 0.2))
    crew.totals.update(1, list(before.registry.collect()))
    crew.totals.end(1)
    crew.totals.update(1, list(Metrics().registry.collect()))
    text = crew.page().decode()

    assert f'{MetricName.DEAD_LETTERS}{{reason="timeout"}} 1.0' in text
    assert f'{MetricName.DEAD_LETTERS}{{reason="permanent"}} 0.0' in text
    assert f'{MetricName.EVENTS}{{status="success"}} 0.0' in text


def test_one_worker_shows_the_same_page_as_a_service_alone() -> None:
    """Dashboards do not care how many processes there are."""
    metrics, crew = Metrics(), CrewMetrics()
    metrics.observe(VerdictPublished("id", "error", "timeout", 0.2))
    crew.totals.update(1, list(metrics.registry.collect()))

    def names(text: bytes) -> set[str]:
        return {line.split(" ")[0] for line in text.decode().splitlines() if not line.startswith("process_")}

    assert names(crew.page()) == names(generate_latest(metrics.registry))
