"""Two workers of one group that were given a SQLite file each, as on two hosts."""

from __future__ import annotations

import json
import signal

import pytest

from tests.faults.bench import Bench, run_of
from tests.support import wait_until_sync

pytestmark = [pytest.mark.apache, pytest.mark.slow, pytest.mark.timeout(150)]


def test_the_second_of_two_workers_with_separate_files_takes_nothing_and_says_why(bench: Bench) -> None:
    """No event gets two verdicts; what lay on its partitions is answered when it has gone."""
    first = bench.worker()
    early = [run_of() for _ in range(30)]
    bench.publish(early)
    bench.answers(30)
    wait_until_sync(lambda: bench.committed() == 30, 20, "all offsets to be committed")
    second = bench.worker(http=True, WORKFLOW_STATE_URL=f"sqlite:{bench.folder / 'other.db'}")
    second.wait_for("intake_paused")
    late = [run_of() for _ in range(30)]
    bench.publish(late)
    wait_until_sync(lambda: len(bench.answers(0)) > 30, 20, "the first to answer what lies on its partitions")
    wait_until_sync(lambda: second.beats() >= 6, 20, "three seconds of the second one's life")
    code, ready = second.page("/readyz")
    (line,) = [line for line in second.lines() if line.get("what") == "store identity"]
    waiting = 60 - len(bench.answers(0))
    second.signal(signal.SIGTERM)
    assert second.exit_code() == 0

    answers = bench.answers(60, 60)
    assert waiting > 0
    assert len(answers) == len({answer.event_id for answer in answers}) == 60
    assert {step.pid for step in bench.steps()} == {first.pid}
    assert code == 503
    (reason,) = [text for text in json.loads(ready)["reasons"] if "another store" in text]
    assert "Give all workers of a group the same WORKFLOW_STATE_URL" in reason
    assert "another store" in line["message"]
