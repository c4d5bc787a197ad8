"""How long what is finished is kept, and the sweep that keeps it so."""

from dataclasses import dataclass
from datetime import timedelta

from langgraph_integration.store.backend import Backend
from langgraph_integration.store.commands import CountSweepable, Sweep

SWEEP_LIMIT = 200
"""Runs per transaction: a sweep shares the writer with live runs and must not make them wait."""


@dataclass(frozen=True, slots=True)
class Retention:
    """`runs`: how long a finished run answers repeated asks. Keep it above the retention of the events
    topic, or a replay from the topic's beginning runs events again. `checkpoints`: how long after its end
    a failed run can still be resumed from where it failed.
    """

    runs: timedelta = timedelta(days=14)
    checkpoints: timedelta = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SweepReport:
    """Rows deleted, or with a dry run rows that would be."""

    runs: int
    checkpoints: int
    writes: int
    dry_run: bool


async def sweep(backend: Backend, retention: Retention, *, dry_run: bool) -> SweepReport:
    """Delete what is older. A verdict that was never published stays, however old."""
    if dry_run:
        counted = await backend.run(CountSweepable(retention.runs, retention.checkpoints))
        return SweepReport(counted.runs, counted.checkpoints, counted.writes, dry_run=True)
    runs = checkpoints = writes = 0
    command = Sweep(retention.runs, retention.checkpoints, SWEEP_LIMIT)
    while (swept := await backend.run(command)).touched:
        runs, checkpoints, writes = (
            runs + swept.runs,
            checkpoints + swept.checkpoints,
            writes + swept.writes,
        )
    return SweepReport(runs, checkpoints, writes, dry_run=False)
