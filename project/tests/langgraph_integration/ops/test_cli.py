"""The command line: what it takes, says and returns."""

import asyncio
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from kafka_devbroker.net import free_ports
from langgraph_integration.ops.cli import COMMANDS
from langgraph_integration.ops.cli_page import cli_page
from langgraph_integration.ops.commands.trigger import read_data
from langgraph_integration.store import open_store
from tests.langgraph_integration.ops.command_line import run, within
from tests.langgraph_integration.ops.topic_reading import only_record, publish_result
from workflow_events.codec import decode_event
from workflow_events.errors import ConfigurationError
from workflow_events.schema import ResultStatus
from workflow_events.settings import TopicNames

NAMES = [command.__name__ for command in COMMANDS]
DOCS = Path(__file__).parents[4] / "docs"


def test_the_page_in_the_docs_is_made_from_the_commands() -> None:
    """`python -m langgraph_integration.ops.cli_page > docs/cli.md` after a change."""
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == cli_page()


def test_help_lists_commands_and_exit_codes() -> None:
    """Whoever types --help first learns where to start and what a script may go by."""
    ran = within("--help")

    assert ran.code == 0
    assert [name for name in NAMES if f"  {name} " not in ran.out] == []
    assert "langgraph-kafka demo" in ran.out
    assert "130 ended by Ctrl-C" in ran.out


@pytest.mark.parametrize("name", NAMES)
def test_every_help_has_examples(name: str) -> None:
    """People copy examples; options they look up."""
    ran = within(name, "--help")

    assert ran.code == 0
    assert f"    langgraph-kafka {name}" in ran.out.partition("Examples:")[2]


def test_help_is_quick() -> None:
    """Under 0.4 s of computing: nothing heavy is loaded for it. (The best of three, in CPU time.)"""
    program = (
        "import resource, sys; from langgraph_integration.ops.cli import app;"
        "app(['--help'], standalone_mode=False);"
        "u = resource.getrusage(resource.RUSAGE_SELF); print(u.ru_utime + u.ru_stime, file=sys.stderr);"
        "heavy = {'langgraph', 'aiokafka', 'confluent_kafka', 'pydantic', 'rich.console'};"
        "print(sorted(set(sys.modules) & heavy), file=sys.stderr)"
    )
    measured = [_python(program) for _ in range(3)]

    assert {loaded for _, loaded in measured} == {"[]"}
    assert min(seconds for seconds, _ in measured) < 0.4


def _python(program: str) -> tuple[float, str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    seconds, loaded = done.stderr.strip().splitlines()[-2:]
    return float(seconds), loaded


def test_version_names_what_matters_in_a_bug_report() -> None:
    """Ours, LangGraph's, the Kafka clients', Python's."""
    versions = json.loads(run("version", "--json").out)

    assert {"langgraph-kafka", "langgraph", "aiokafka", "confluent-kafka", "python"} <= set(versions)
    assert f"langgraph {versions['langgraph']}" in within("version").out


@pytest.mark.parametrize(
    "arguments",
    [
        ("trigger", "--data", "{broken"),
        ("trigger", "--data", "5"),
        ("trigger", "--data", "@/nowhere/at/all.json"),
        ("trigger", "--data", '{"x": NaN}'),
        ("trigger", "--timeout", "-1"),
        ("result", "not-an-id"),
        ("topics", "--partitions", "0"),
        ("serve", "--max-concurrency", "0"),
        ("nonsense",),
    ],
)
def test_what_cannot_be_used_is_exit_code_2_without_a_traceback(arguments: tuple[str, ...]) -> None:
    """One line that says what is wrong, and nothing on stdout."""
    ran = within(*arguments)

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.strip()
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("name", "value", "arguments"),
    [
        ("KAFKA_SECURITY_PROTOCOL", "TELEPATHY", ("topics",)),
        ("WORKFLOW_MAX_CONCURRENCY", "many", ("serve",)),
        ("WORKFLOW_HTTP_PORT", "99999", ("serve",)),
        ("ENVIRONMENT", "moon", ("trigger",)),
        ("WORKFLOW_STATE_URL", "mongodb://x", ("gc",)),
    ],
)
def test_a_bad_setting_is_named(
    name: str, value: str, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that nobody has to guess which of thirty variables it is."""
    monkeypatch.setenv(name, value)

    ran = within(*arguments)

    assert ran.code == 2, ran.err
    assert name in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("topics",),
        ("trigger",),
        ("trigger", "--wait", "--timeout", "1"),
        ("result", str(uuid4()), "--timeout", "0.5"),
    ],
    ids=["topics", "trigger", "trigger --wait", "result"],
)
def test_a_broker_that_is_away_is_exit_code_1_with_the_way_out(arguments: tuple[str, ...]) -> None:
    """The text names the servers and the setting; nothing is said to be published."""
    servers = f"127.0.0.1:{free_ports(1)[0]}"
    ran = within(*arguments, "--bootstrap-servers", servers)

    assert (ran.code, ran.out) == (1, "")
    assert servers in ran.err
    assert "Is it running? KAFKA_BOOTSTRAP_SERVERS" in ran.err
    assert "published, waiting" not in ran.err
    assert "Traceback" not in ran.err


def test_the_entry_point_ends_its_process_with_the_exit_code() -> None:
    """And keeps what a library complains about to itself."""
    ran = run("trigger", "--data", "[")

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: --data is no JSON")


def test_data_is_an_object_or_an_array_of_records(tmp_path: Path) -> None:
    """Also from a file."""
    file = tmp_path / "rows.json"
    file.write_text('[{"x": 1}]')

    assert read_data(None) is None
    assert read_data('{"a": [1]}') == {"a": [1]}
    assert read_data(f"@{file}") == {"records": [{"x": 1}]}
    with pytest.raises(ConfigurationError, match="array of records"):
        read_data("true")


def test_topics_shows_what_is_missing_and_creates_it(
    kafka_environment: TopicNames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1 until all three are there."""
    missing = f"dead-{uuid4().hex}"
    monkeypatch.setenv("KAFKA_DLQ_TOPIC", missing)

    before = within("topics", "--json")
    created = within("topics", "--create", "--partitions", "2", "--json")

    assert before.code == 1
    shown = {each["role"]: each for each in json.loads(before.out)["topics"]}
    assert (shown["events"]["partitions"], shown["dead letters"]["partitions"]) == (3, 0)
    assert "does not exist" in json.loads(before.out)["warnings"][0]
    assert created.code == 0
    assert json.loads(created.out)["created"] == [missing]


def test_topics_is_a_table_for_people(kafka_environment: TopicNames) -> None:
    """Names, partitions, retention, sizes."""
    ran = within("topics")

    assert ran.code == 0
    for expected in (
        kafka_environment.events,
        kafka_environment.dead_letters,
        "8,388,608",
        "max.message.bytes",
    ):
        assert expected in ran.out


def test_trigger_without_wait_prints_the_event_id(kafka_environment: TopicNames) -> None:
    """`id=$(langgraph-kafka trigger ...)` works in a script."""
    ran = within("trigger", "--task", "count", "--data", "@-", "--graph", "g", stdin='{"n": 1}')

    assert ran.code == 0, ran.err
    event = decode_event(only_record(kafka_environment.events).value())
    assert ran.out == f"{event.event_id}\n"
    assert event.payload.data == {"task": "count", "data": {"n": 1}}
    assert event.graph == "g"
    assert event.workflow_run_id.startswith("manual__")


def test_waiting_in_vain_is_exit_code_4(kafka_environment: TopicNames) -> None:
    """With a word on what to do next, and nothing on stdout."""
    event_id = uuid4()
    ran = within("result", str(event_id), "--timeout", "0.5")

    assert (ran.code, ran.out) == (4, "")
    assert f"no result for {event_id} within 0.5 s" in ran.err


def test_waiting_in_vain_for_an_event_of_ones_own_says_that_it_is_published(
    kafka_environment: TopicNames,
) -> None:
    """It stands on the topic, and whoever comes back for its result has the id."""
    ran = within("trigger", "--wait", "--timeout", "1")

    event = decode_event(only_record(kafka_environment.events).value())
    assert (ran.code, ran.out) == (4, "")
    assert ran.err.startswith(f"event {event.event_id} published, waiting for its result\n")
    assert f"`langgraph-kafka result {event.event_id}` looks again" in ran.err


@pytest.mark.parametrize(("status", "code"), [("success", 0), ("failure", 3), ("error", 3)])
def test_the_exit_code_of_result_is_its_status(
    kafka_environment: TopicNames, status: ResultStatus, code: int
) -> None:
    """A script needs to parse nothing to know how it went."""
    event_id = publish_result(kafka_environment.results, status, {"conclusion": "All is well."})

    plain = within("result", event_id)
    machine = within("result", event_id, "--json")

    assert plain.code == machine.code == code
    assert "All is well." in plain.out
    record = json.loads(machine.out)
    assert (record["correlation_id"], record["status"]) == (event_id, status)


def test_gc_counts_without_deleting(tmp_path: Path) -> None:
    """An empty store has nothing to remove."""
    url = f"sqlite:{tmp_path / 'state.db'}"
    asyncio.run(_made(url))

    ran = within("gc", "--dry-run", "--state-url", url, "--json")

    assert ran.code == 0, ran.err
    assert json.loads(ran.out) == {"runs": 0, "checkpoints": 0, "writes": 0, "dry_run": True}
    assert within("gc", "--state-url", url).out == "removed: 0 runs, 0 checkpoints, 0 pending writes\n"


async def _made(url: str) -> None:
    async with open_store(url, owner="test", lease_time=timedelta(seconds=30)):
        pass


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_gc_refuses_a_file_that_is_not_there(tmp_path: Path, options: tuple[str, ...]) -> None:
    """A mistyped path is no empty store, and nothing is made of it."""
    missing = tmp_path / "typo" / "state.db"

    ran = within("gc", *options, "--state-url", f"sqlite:{missing}", "--json")

    assert (ran.code, ran.out) == (2, "")
    assert f"WORKFLOW_STATE_URL or --state-url: there is no file {missing}" in ran.err
    assert not missing.parent.exists()
