"""The parts, without a DAG run: hook, trigger, provider info, arguments."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from datetime import timedelta
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import airflow
import jsonschema
import pytest

from airflow_integration.airflow_compat import AirflowFailException, resume_hold
from airflow_integration.asking import Ticket
from airflow_integration.failures import WorkflowUnfulfilled
from airflow_integration.hooks import WorkflowKafkaHook
from airflow_integration.identity import run_identity
from airflow_integration.links import WorkflowRunLink
from airflow_integration.operators import LangGraphWorkflowOperator
from airflow_integration.provider import get_provider_info
from airflow_integration.readers import SharedReaders
from airflow_integration.triggers import ClaimCheck, WorkflowResultTrigger
from tests.support.waiting import wait_until
from workflow_events.errors import ConfigurationError, WorkflowTimeout
from workflow_events.settings import TopicNames


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`connection(name, extras)` makes a Kafka connection."""
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)

    def make(name: str, extras: dict[str, Any]) -> None:
        value = json.dumps({"conn_type": "kafka", "extra": extras})
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", value)

    return make


def ticket(timeout: float = 30.0) -> Ticket:
    """A ticket for a run that nobody knows."""
    return Ticket.for_event(str(uuid4()), timeout)


def test_the_connection_is_honoured_with_all_its_extras(database: None, connection: Any) -> None:
    """SASL, TLS and whatever librdkafka knows reach our clients; what is about groups does not."""
    extras = {
        "bootstrap.servers": "kafka-1:9094,kafka-2:9094",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "u",
        "sasl.password": "secret",
        "ssl.ca.location": "/etc/ca.pem",
        "client.rack": "a",
        "group.id": "theirs",
        "enable.auto.commit": False,
        "session.timeout.ms": 6000,
    }
    connection("kafka_default", extras)
    settings = WorkflowKafkaHook().settings()
    options = settings.librdkafka()

    ours = {name: extras[name] for name in extras if name not in _GROUP_OPTIONS}
    assert {name: options[name] for name in ours} == ours
    assert not _GROUP_OPTIONS & options.keys()
    assert "secret" not in repr(settings)


_GROUP_OPTIONS = {"group.id", "enable.auto.commit", "session.timeout.ms"}


def test_the_guides_variables_win_over_a_connection_nobody_named(
    database: None, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An explicit name over the environment, the environment over the default connection."""
    connection("kafka_default", {"bootstrap.servers": "from-default:9092"})
    connection("named", {"bootstrap.servers": "from-named:9092"})
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "from-environment:9092")

    assert WorkflowKafkaHook().settings().bootstrap_servers == "from-environment:9092"
    assert WorkflowKafkaHook("named").settings().bootstrap_servers == "from-named:9092"
    assert WorkflowKafkaHook("kafka_default").settings().bootstrap_servers == "from-default:9092"


def test_airflows_own_example_connection_is_nobodys_broker(database: None, connection: Any) -> None:
    """A new database has one; the guide's default is the better guess."""
    connection("kafka_default", {"bootstrap.servers": "broker:29092", "group.id": "my-group"})

    assert WorkflowKafkaHook().settings().bootstrap_servers == "localhost:9092"


def test_a_named_connection_must_exist(database: None, connection: Any) -> None:
    """No guessing where somebody was explicit."""
    with pytest.raises(Exception, match="no_such"):
        WorkflowKafkaHook("no_such").settings()


def test_a_trigger_survives_being_stored(database: None) -> None:
    """What Airflow keeps of it is JSON and makes the same trigger."""
    trigger = WorkflowResultTrigger(ticket().to_dict(), "conn", time.time() + 5)
    path, kwargs = trigger.serialize()
    again = WorkflowResultTrigger(**json.loads(json.dumps(kwargs)))

    assert path == f"{WorkflowResultTrigger.__module__}.{WorkflowResultTrigger.__qualname__}"
    assert again.serialize() == trigger.serialize()


async def test_a_trigger_ends_at_its_tickets_deadline(service: TopicNames, database: None) -> None:
    """The deadline is a moment, so a triggerer that starts anew does not wait anew."""
    late = ticket(timeout=1.0)
    begin = time.monotonic()
    (event,) = [event async for event in WorkflowResultTrigger(late.to_dict()).run()]

    assert ClaimCheck.from_dict(event.payload).ending == "timeout"
    assert time.monotonic() - begin < 5


async def test_a_result_is_held_until_airflow_is_ready_for_it(service: TopicNames, database: None) -> None:
    """Not before `hold_until`, however early the answer is there."""
    held_until = time.time() + 1.5
    past = ticket(timeout=0.1)
    (_,) = [event async for event in WorkflowResultTrigger(past.to_dict(), None, held_until).run()]

    assert time.time() >= held_until


async def test_all_who_wait_share_one_reader(service: TopicNames, database: None) -> None:
    """A hundred borrowers of a topic have the same exchange; it is closed when nobody wants it any more."""
    readers = SharedReaders(idle=0.2)
    seen = set()

    async def borrow() -> None:
        async with readers.borrow(None, service.results) as exchange:
            seen.add(exchange)
            await asyncio.sleep(0)

    await asyncio.gather(*(borrow() for _ in range(100)))

    assert len(seen) == 1
    await wait_until(lambda: not readers._readers, 10, "the reader to be closed")
    with pytest.raises(RuntimeError, match="closed"):
        seen.pop().note()


async def test_waiting_leaves_loaded_modules_out_of_garbage_collections(
    service: TopicNames, database: None
) -> None:
    """Else each full one would stop a triggerer's waits while it visits all of Airflow."""
    async with SharedReaders().borrow(None, service.results):
        assert gc.get_freeze_count() > 100_000
        assert len(gc.get_objects()) < gc.get_freeze_count()


def test_a_deferral_that_took_too_long_ends_as_any_other_timeout(database: None) -> None:
    """Whatever words this Airflow's scheduler uses, our user reads ours."""
    operator = LangGraphWorkflowOperator(task_id="ask", timeout=7)
    context = cast("Any", _context())

    for words in ("Trigger timeout", "Trigger/execution timeout"):
        with pytest.raises(WorkflowTimeout, match="Workflow result not received within 7 s"):
            operator.resume_execution("__fail__", {"error": words}, context)


def test_airflows_fail_exception_is_what_stops_retries() -> None:
    """A workflow's own no is one of them, and still the RuntimeError that the guide promises."""
    assert issubclass(WorkflowUnfulfilled, AirflowFailException)
    assert issubclass(WorkflowUnfulfilled, RuntimeError)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"timeout": 0}, "timeout is 0"),
        ({"timeout": "soon"}, "timeout is 'soon'"),
        ({"timeout": timedelta(seconds=-1)}, "timeout is"),
        ({"on_clear": "maybe"}, "on_clear is 'maybe'"),
        ({"large_result": "drop"}, "large_result is 'drop'"),
    ],
)
def test_arguments_that_make_no_sense_fail_the_dag_at_once(wrong: dict[str, Any], words: str) -> None:
    """Their author sees it when the DAG is parsed."""
    with pytest.raises(ConfigurationError, match=words):
        LangGraphWorkflowOperator(task_id="ask", **wrong)


def test_the_hold_follows_airflows_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interval at which a worker looks after its process, and 3 s; an option of ours wins."""
    monkeypatch.delenv("AIRFLOW__LANGGRAPH_KAFKA__RESUME_HOLD")
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "1")
    interval = 1.0 if airflow.__version__.startswith("3") else 0.0

    assert resume_hold() == interval + 3
    monkeypatch.setenv("AIRFLOW__LANGGRAPH_KAFKA__RESUME_HOLD", "0.5")
    assert resume_hold() == 0.5


def test_a_task_links_to_its_run_only_where_there_is_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `run_url` the link is empty, which Airflow does not show."""
    operator, link = LangGraphWorkflowOperator(task_id="ask"), WorkflowRunLink()
    operator.asked = ticket()
    monkeypatch.setenv("AIRFLOW__LANGGRAPH_KAFKA__RUN_URL", "https://runs.example.com/{event_id}")
    assert link.get_link(operator, ti_key=None) == f"https://runs.example.com/{operator.asked.event_id}"

    monkeypatch.delenv("AIRFLOW__LANGGRAPH_KAFKA__RUN_URL")
    assert link.get_link(operator, ti_key=None) == ""


def test_airflow_sees_the_provider() -> None:
    """The entry point is there, and its information is what Airflow's schema wants."""
    (found,) = [
        one
        for one in entry_points(group="apache_airflow_provider")
        if one.dist and one.dist.name == "langgraph-kafka"
    ]
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())

    assert found.load() is get_provider_info
    jsonschema.validate(get_provider_info(), schema)


def test_a_running_task_of_this_airflow_has_what_an_identity_needs(database: None) -> None:
    """A context without a task instance gets a new run each time."""
    context = _context()

    assert run_identity(context) != run_identity(context)
    assert run_identity(context).attempt == 1


class _Named:
    def __init__(self, **names: Any) -> None:
        self.__dict__.update(names)


def _context() -> dict[str, Any]:
    return {"dag": _Named(dag_id="d"), "dag_run": _Named(run_id="r")}
