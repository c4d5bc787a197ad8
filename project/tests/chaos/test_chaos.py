"""One minute of the fault programme, on both databases: nothing lost, nothing run twice."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.chaos.oracle import judge
from tests.chaos.programme import prepared
from tests.chaos.report import Summary, write_report
from tests.chaos.settings import RunSettings
from tests.chaos.stores import StoreName
from tests.support.status import status

pytestmark = [pytest.mark.chaos, pytest.mark.apache, pytest.mark.timeout(200)]


@pytest.mark.parametrize("store", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_every_event_has_its_verdict_whatever_was_killed(store: StoreName, tmp_path: Path) -> None:
    """20 seconds of SIGKILL, SIGSTOP, leaving, broker and database away; then I1 to I6 of the oracle."""
    seed = int(os.environ.get("CHAOS_SEED") or time.time())
    settings = RunSettings(seed=seed, report=tmp_path / "report", seconds=20, store=store, mood="brief")
    status.info("%s", settings.command())
    began = time.time()
    with prepared(settings) as run:
        evidence = run.carry_out()
        summary = Summary.of(settings, evidence, judge(evidence), began)
        write_report(run, evidence, summary)

    status.info("report: %s", settings.report)
    assert summary.good, summary.text()
    assert summary.kills >= 3, summary.text()
    assert summary.events >= 30, summary.text()
