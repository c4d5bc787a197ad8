"""`langgraph-kafka demo`: from nothing to answers, and nothing left behind."""

import json
import signal
import sys
from pathlib import Path

import pytest

from langgraph_integration.ops.demo.batch import Examples, agents_of, headline_of
from tests.langgraph_integration.ops.command_line import run, started
from tests.support import wait_until_sync
from workflow_events.errors import ConfigurationError

WITHIN_S = 55  # a loaded machine with two cores; 8 s on an idle one


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the demo and its children put everything: who has this in the environment belongs to it."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def left_running(folder: Path) -> list[str]:
    """Commands of processes that have `folder` in their environment. Linux alone can tell."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"TMPDIR={folder}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.timeout(90)
def test_the_demo_answers_every_analysis_and_leaves_nothing_behind(temporary: Path) -> None:
    """Without a terminal, with --json: results and refused event on stdout, progress on stderr."""
    ran = run("demo", "--json", timeout=WITHIN_S)

    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert len(report["results"]) == len(Examples.find().events())
    for each in report["results"]:
        assert each["result"]["status"] == "success", each
        assert agents_of(each["result"]["result"]) == "data → analysis"
        assert headline_of(each["result"]["result"])
    refused = report["refused"]
    assert refused["result"]["status"] == "error"
    assert "no_such_graph" in refused["result"]["error"]
    assert refused["dead_letter"]["reason"] == "invalid"
    for shown in ("task", "agents", "headline", "latency", "dead letter", "no_such_graph", "done"):
        assert shown in ran.err
    assert list(temporary.iterdir()) == []
    assert left_running(temporary) == []


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.timeout(90)
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc for what is left")
@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_demo_quietly_and_whole(
    temporary: Path, tmp_path: Path, number: signal.Signals, expected: int
) -> None:
    """Ctrl-C, or a CI runner whose time is up: no traceback, no broker, no service and no file left."""
    log = tmp_path / "demo.log"
    with started("demo", log_file=log) as process:
        wait_until_sync(
            lambda: any("langgraph_integration.service" in each for each in left_running(temporary)),
            timeout=30,
            description="the demo's service to be there",
        )
        process.send_signal(number)
        code = process.wait(20)

    assert code == expected, log.read_text()
    assert "Traceback" not in log.read_text()
    wait_until_sync(lambda: left_running(temporary) == [], description="its children to be gone")
    assert list(temporary.iterdir()) == []


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.timeout(90)
def test_a_step_that_fails_shows_the_services_log(temporary: Path, tmp_path: Path) -> None:
    """An example that the service cannot answer ends the demo with exit code 1 and says why."""
    examples = tmp_path / "examples"
    (examples / "data").mkdir(parents=True)
    event = {"workflow_id": "gone", "task": "summary", "data": {"file": "not_there.csv"}}
    (examples / "events.json").write_text(json.dumps([event]))

    ran = run("demo", "--examples", str(examples), timeout=WITHIN_S)

    assert ran.code == 1, ran.out
    assert "analyses ended badly: gone: failure" in ran.err
    assert "The service's log ends:" in ran.err
    assert "Traceback" not in ran.err
    assert left_running(temporary) == []


def test_a_folder_without_examples_is_a_clear_error(tmp_path: Path) -> None:
    """It names the option."""
    with pytest.raises(ConfigurationError, match="--examples"):
        Examples.find(tmp_path)


def test_the_examples_come_along() -> None:
    """Each names a task and data, and has an id of its own."""
    events = Examples.find().events()

    assert len(events) >= 10
    assert len({event.event_id for event in events}) == len(events)
    assert all(event.payload.data["task"] and event.payload.data["data"] for event in events)


def test_a_result_without_an_analysis_has_its_conclusion_as_headline() -> None:
    """A graph of one's own need not have agents."""
    assert headline_of({"conclusion": "fine"}) == "fine"
    assert headline_of({}) == ""
    assert agents_of({}) == ""
