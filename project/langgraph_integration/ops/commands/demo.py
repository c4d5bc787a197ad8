"""`langgraph-kafka demo`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from langgraph_integration.ops.console import ExitCode, Json, aside, emit, handled, people

if TYPE_CHECKING:
    from langgraph_integration.ops.demo.asking import Answer
    from langgraph_integration.ops.demo.run import DemoReport

_TERMINATED = 143  # what a shell reports of a process that SIGTERM ended
Backend = Literal["auto", "tansu", "apache"]


@handled(
    "langgraph-kafka demo",
    "langgraph-kafka demo --backend apache",
    "langgraph-kafka demo --json > answers.json",
)
def demo(
    backend: Annotated[Backend, typer.Option(help="Which broker to start.")] = "auto",
    examples: Annotated[
        Path | None,
        typer.Option(help="Folder with events.json and data/. Default: the one that comes along."),
    ] = None,
    as_json: Json = False,
) -> int:
    """See it work: broker, service and real analyses from start to end.

    Starts a broker and a service, publishes analyses of public data and one event that must fail, shows
    results and dead letter, stops everything. Needs no configuration, and touches no broker or state of
    yours.
    """
    import signal
    import sys

    from langgraph_integration.ops.demo.run import run_demo, show_summary

    # as Ctrl-C: the way out goes through the clean-up
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    screen = aside() if as_json else people()
    report = run_demo(screen, backend=backend, examples=examples)
    show_summary(screen, report)
    if as_json:
        emit(_plain(report))
    return ExitCode.OK


def _plain(report: "DemoReport") -> dict[str, Any]:
    return {
        "broker": report.backend,
        "results": [_answer(each) for each in report.answers],
        "refused": {**_answer(report.bad), "dead_letter": report.letter.wire_fields()},
        "batch_seconds": round(report.batch_s, 3),
        "seconds": round(report.total_s, 3),
    }


def _answer(answer: "Answer") -> dict[str, Any]:
    record = None if answer.found is None else answer.found.record
    return {
        "workflow_id": answer.event.workflow_id,
        "latency_seconds": round(answer.latency_s, 3),
        "result": record,
    }
