"""Guide: Running Tests, Test Coverage and its status lines."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from langgraph_integration.consumer import LangGraphKafkaConsumer
from tests.fundamentals.asking import RECORDS, answer, ask
from tests.support.status import status
from workflow_events.settings import TopicNames

ROOT = Path(__file__).parents[3]

KINDS = {
    "Configuration Tests": "langgraph_integration/test_config.py",
    "Consumer Tests": "langgraph_integration/test_consumer.py",
    "Integration Tests": "langgraph_integration/test_consumer_integration.py",
    "Processor Tests": "langgraph_integration/test_processor.py",
    "Result Producer Tests": "langgraph_integration/test_result_producer.py",
    "Retry Utility Tests": "langgraph_integration/test_retry.py",
    "Dead Letter Queue Tests": "langgraph_integration/test_dead_letter.py",
    "Error Handling Integration Tests": "langgraph_integration/test_error_handling_integration.py",
    "Result Integration Tests": "langgraph_integration/test_result_integration.py",
    "End-to-End Integration Tests": "integration/test_airflow_langgraph_integration.py",
}


def run(listing: str, *, options: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command of the guide in the repository's folder, as somebody who has set nothing up."""
    ours = ("PYTEST_", "COV_", "COVERAGE_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment["PYTEST_ADDOPTS"] = options
    return subprocess.run(
        ["bash", "-c", listing], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.broker
@pytest.mark.timeout(240)
def test_the_second_command_runs_and_starts_its_own_broker() -> None:
    """The listing Running Tests, second command, word for word, without a broker anywhere."""
    done = run("""
        # Run specific test file
        pytest project/tests/langgraph_integration/test_consumer_integration.py -v
    """)

    assert done.returncode == 0, done.stdout
    assert re.search(r"\d+ tests used (tansu|apache)", done.stdout)
    assert re.search(r"\d+ passed", done.stdout)


@pytest.mark.slow
def test_the_first_command_finds_all_integration_tests() -> None:
    """The listing Running Tests, first command; what it collects is what `make test` runs."""
    done = run(
        """
        # Run all integration tests
        pytest project/tests/langgraph_integration/ -v
        """,
        options="--collect-only -qq",
    )

    assert done.returncode == 0, done.stdout
    for file in KINDS.values():
        assert file.startswith("integration/") or f"project/tests/{file}" in done.stdout


def test_the_ten_kinds_of_tests_are_files() -> None:
    """The list Test Coverage: each kind has a file of its own."""
    missing = {kind: file for kind, file in KINDS.items() if not (ROOT / "project/tests" / file).is_file()}

    assert missing == {}


async def test_status_lines_tell_what_happens(
    kafka_environment: TopicNames, capsys: pytest.CaptureFixture[str]
) -> None:
    """Debugging Support: `[HH:MM:SS] TYPE: message` on stderr, of all four types, in the order of events."""
    consumer = LangGraphKafkaConsumer()
    await consumer.start()
    consuming = asyncio.create_task(consumer.consume_and_process())
    event = await ask("find the trend", records=RECORDS)
    status.info("asked for %s", event.event_id)
    await answer(event.event_id)
    consumer.running = False
    await consuming
    await consumer.stop()

    lines = capsys.readouterr().err.splitlines()
    found = [re.fullmatch(r"\[\d\d:\d\d:\d\d\] (TEST|CONSUMER|STOP|CAPTURE): (.+)", line) for line in lines]
    assert None not in found, lines
    told = [match.groups() for match in found if match]
    in_order = [
        ("CONSUMER", "consuming"),
        ("TEST", f"asked for {event.event_id}"),
        ("STOP", "stopping"),
        ("STOP", "stopped"),
    ]
    assert [line for line in told if line in in_order] == in_order
    assert ("CAPTURE", "event settled: success") in told
