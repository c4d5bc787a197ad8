"""Fixtures of all tests: a broker, topics and a database of one's own, a clean environment, loud omissions.

A test that takes `broker` gets the default one (external if KAFKA_BOOTSTRAP_SERVERS is given, else Tansu).
Marked `apache` it runs on Apache Kafka alone, marked `each_broker` on Tansu and on Apache Kafka. What this
machine lacks is skipped and named at the end of the run; with CI=true it is a failure.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from kafka_devbroker import BackendName, available_backends
from tests.support.airflow_chain import Chain, running_chain
from tests.support.airflow_server import MemoryWatch, why_no_airflow
from tests.support.brokers import BrokerPool, TestBroker, default_backend, in_ci
from tests.support.error_log import logged_errors
from tests.support.faketime import why_no_faketime
from tests.support.postgres import fresh_database, running_postgres, why_no_postgres
from tests.support.sharing import shared_service
from tests.support.status import status_lines
from tests.support.topics import create_workflow_topics, unique_name
from workflow_events.settings import TopicNames

_EXTERNAL = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
_POSTGRES_DSN = os.environ.get("POSTGRES_DSN")
_OURS = ("KAFKA_", "WORKFLOW_", "LANGGRAPH_", "AIRFLOW_")
_OURS_BY_NAME = ("ENVIRONMENT", "EVENT_SCHEMA_VERSION")
# Where programs lie is no setting of ours.
_TOOLS = ("KAFKA_HOME", "AIRFLOW_HOME")
_AIRFLOW_FIGURES: list[str] = []

# For `make check`, which answers within a minute; `make test` tries a hundred examples.
settings.register_profile("quick", max_examples=25)


def pytest_configure() -> None:
    """A run that a script has started with `&` ignores Ctrl-C, and so would all that its tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tell `broker` which brokers a test wants."""
    if "broker" not in metafunc.fixturenames:
        return
    definition = metafunc.definition
    if definition.get_closest_marker("each_broker"):
        wanted: list[BackendName] = ["tansu", "apache"]
    elif definition.get_closest_marker("apache"):
        wanted = ["apache"]
    else:
        wanted = [default_backend()]
    params = [
        pytest.param(name, marks=[pytest.mark.apache] if name == "apache" else [], id=name) for name in wanted
    ]
    metafunc.parametrize("broker", params, indirect=True, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever takes a service carries its marker: `-m "not broker and not postgres"` means what it says."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        if "broker" in names or item.get_closest_marker("apache"):
            item.add_marker("broker")
        if "postgres_server" in names:
            item.add_marker("postgres")
        if "tests/faults/" in item.nodeid and "state_machine" not in item.nodeid:
            item.add_marker("faults")
        if item.get_closest_marker("airflow"):
            # One Airflow is enough for a machine: all its tests go to one worker.
            item.add_marker(pytest.mark.xdist_group("airflow"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out (in CI: fail) what this machine cannot run, before any fixture tries."""
    missing: list[str | None] = []
    if item.get_closest_marker("apache"):
        missing.append(available_backends()["apache"])
    if item.get_closest_marker("postgres"):
        missing.append(why_no_postgres())
    if item.get_closest_marker("faketime"):
        missing.append(why_no_faketime())
    if item.get_closest_marker("airflow"):
        missing.append(why_no_airflow())
    for reason in filter(None, missing):
        if in_ci():
            pytest.fail(f"CI must have it: {reason}", pytrace=False)
        pytest.skip(reason)


def pytest_report_header() -> list[str]:
    """What the tests run on, and loudly what they leave out."""
    missing = available_backends()
    used = [name for name in missing if missing[name] is None]
    lines = [f"brokers: {', '.join(used) or 'NONE'} (default: {default_backend()})"]
    left_out = [f"{name}: {missing[name]}" for name in ("tansu", "apache") if missing[name] is not None]
    if (no_postgres := why_no_postgres()) is not None:
        left_out.append(f"postgres: {no_postgres}")
    else:
        lines.append("postgres: " + ("POSTGRES_DSN" if _POSTGRES_DSN else "a server of the tests' own"))
    if (no_faketime := why_no_faketime()) is not None:
        left_out.append(f"clocks that jump: {no_faketime}")
    if (no_airflow := why_no_airflow()) is not None:
        left_out.append(f"airflow: {no_airflow}")
    return lines + [f"LEFT OUT {each}" for each in left_out]


def _tests_on_brokers(terminalreporter: pytest.TerminalReporter) -> Counter[str]:
    """How many tests really ran on which broker, as far as their ids tell."""
    ran = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    parameters = [re.split(r"[\[\]-]", report.nodeid) for report in ran]
    return Counter(backend for each in parameters for backend in available_backends() if backend in each)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Repeat at the end, where people look, what the tests ran on, what was left out and how many."""
    lines = pytest_report_header()
    left_out = [line for line in lines if line.startswith("LEFT OUT")]
    terminalreporter.section("what the tests ran on")
    for line in lines:
        terminalreporter.write_line(line, red=line in left_out, bold=line in left_out)
    for backend, number in _tests_on_brokers(terminalreporter).items():
        terminalreporter.write_line(f"{number} tests used {backend}")
    for line in _AIRFLOW_FIGURES:
        terminalreporter.write_line(line)
    if left_out:
        skipped = len(terminalreporter.getreports("skipped"))
        terminalreporter.write_line(f"{skipped} tests skipped", red=True, bold=True)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run see."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@pytest.fixture(scope="session")
def _broker_pool(shared_folder: Path) -> Iterator[BrokerPool]:
    # Apart from `broker`, which random order switches between Tansu and Apache Kafka many times in a run.
    with BrokerPool(shared_folder, _EXTERNAL) as pool:
        yield pool


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest, _broker_pool: BrokerPool) -> TestBroker:
    """A running Kafka-compatible broker that other tests use too. See the module's text for which one."""
    return _broker_pool.get(request.param)


@pytest.fixture
def make_topics(broker: TestBroker) -> Callable[..., TopicNames]:
    """`make_topics(partitions=3, config={...})` -> fresh TopicNames, as often as a test likes."""

    def make(*, partitions: int = 3, config: dict[str, str] | None = None) -> TopicNames:
        return create_workflow_topics(broker.bootstrap_servers, partitions=partitions, config=config)

    return make


@pytest.fixture
def topics(request: pytest.FixtureRequest, make_topics: Callable[..., TopicNames]) -> TopicNames:
    """Fresh topics for events, results and dead letters: 3 partitions, records up to 8 MiB.

    `@pytest.mark.topics(partitions=1)` changes what `make_topics` is called with.
    """
    marker = request.node.get_closest_marker("topics")
    return make_topics(**(marker.kwargs if marker else {}))


@pytest.fixture
def group_id() -> str:
    """A consumer group nobody else has."""
    return unique_name("group")


@pytest.fixture
def kafka_environment(
    broker: TestBroker, topics: TopicNames, group_id: str, monkeypatch: pytest.MonkeyPatch
) -> TopicNames:
    """The environment as an operator sets it: broker, the test's topics, its group and short sessions."""
    for name, value in {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "KAFKA_WORKFLOW_EVENTS_TOPIC": topics.events,
        "KAFKA_WORKFLOW_RESULTS_TOPIC": topics.results,
        "KAFKA_DLQ_TOPIC": topics.dead_letters,
        "KAFKA_CONSUMER_GROUP_ID": group_id,
        "KAFKA_SESSION_TIMEOUT_MS": str(broker.session_timeout_ms),
        "KAFKA_HEARTBEAT_INTERVAL_MS": str(broker.heartbeat_interval_ms),
    }.items():
        monkeypatch.setenv(name, value)
    return topics


@pytest.fixture(scope="session")
def postgres_server(shared_folder: Path) -> Iterator[str]:
    """The DSN of a server all workers share. Take `postgres_dsn` for a database."""
    if _POSTGRES_DSN:
        yield _POSTGRES_DSN
        return
    with shared_service(shared_folder, "postgres", running_postgres) as dsn:
        yield dsn


@pytest.fixture
def postgres_dsn(postgres_server: str) -> Iterator[str]:
    """The DSN of an empty database of the test's own."""
    with fresh_database(postgres_server) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def airflow_chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A real Airflow, a broker of its own and the service, for all tests that are marked `airflow`."""
    begin, folder = time.monotonic(), tmp_path_factory.mktemp("chain")
    settings = {"AIRFLOW__LANGGRAPH_KAFKA__RUN_URL": "https://runs.example.com/?id={event_id}"}
    with running_chain(folder, settings=settings) as chain, MemoryWatch(chain.airflow) as memory:
        ready = time.monotonic()
        yield chain
        _AIRFLOW_FIGURES.append(
            f"real Airflow: ready in {ready - begin:.0f} s, its tests took {time.monotonic() - ready:.0f} s, "
            f"at most {memory.peak / 1e6:.0f} MB in all its processes"
        )


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine or of another test reaches a test, and its state goes to its own folder."""
    for name in [name for name in os.environ if name.startswith(_OURS) or name in _OURS_BY_NAME]:
        if name not in _TOOLS:
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-home"))


@pytest.fixture(autouse=True)
def _status_lines() -> Iterator[None]:
    """The guide's `[HH:MM:SS] TYPE: message` lines on stderr, seen with `-s` or when a test fails."""
    with status_lines():
        yield


@pytest.fixture(autouse=True)
def _no_errors_in_the_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """An ERROR that was only logged fails the test, unless it is marked `expect_errors`."""
    with logged_errors() as errors:
        yield
    if errors and not request.node.get_closest_marker("expect_errors"):
        pytest.fail("errors were logged:\n" + "\n".join(errors), pytrace=False)
