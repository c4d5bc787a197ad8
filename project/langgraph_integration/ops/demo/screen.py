"""The demo on screen: the table of answers, and what became of the event that had to fail."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from langgraph_integration.ops.demo.asking import Answer
from langgraph_integration.ops.demo.batch import agents_of, headline_of
from workflow_events.dead_letter import DeadLetterEvent

_COLOURS = {"success": "green", "failure": "yellow", "error": "red"}


def show_answers(screen: Console, answers: Sequence[Answer]) -> None:
    """Task, agents, headline figure and latency of each."""
    table = Table(box=SIMPLE_HEAD, title="Results", title_justify="left", pad_edge=False)
    table.add_column("task", ratio=3)
    table.add_column("status", no_wrap=True)
    table.add_column("agents", no_wrap=True)
    table.add_column("headline", ratio=5)
    table.add_column("latency", justify="right", no_wrap=True)
    for answer in answers:
        table.add_row(*_row(answer))
    screen.print(table)


def _row(answer: Answer) -> tuple[Text, Text, Text, Text, Text]:
    task = Text(str(answer.event.payload.data.get("task", "")))
    latency = Text(f"{answer.latency_s:.2f} s")
    if answer.found is None:
        return task, Text("none", style="red"), Text("-"), Text("no result in time"), latency
    event = answer.found.event
    status = Text(event.status, style=_COLOURS[event.status])
    return (
        task,
        status,
        Text(agents_of(event.result)),
        Text(event.error or headline_of(event.result)),
        latency,
    )


def show_bad_event(screen: Console, answer: Answer, letter: DeadLetterEvent | None) -> None:
    """The error result that its asker gets, and the dead letter that keeps it."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("asked for", Text(f"graph {answer.event.graph!r}, which the service does not have"))
    if answer.found is None:
        grid.add_row("result", Text("none", style="red"))
    else:
        event = answer.found.event
        grid.add_row("result", Text.assemble((event.status, _COLOURS[event.status]), f": {event.error}"))
    if letter is None:
        grid.add_row("dead letter", Text("none", style="red"))
    else:
        grid.add_row(
            "dead letter", Text(f"reason {letter.reason}, {letter.error.type}: {letter.error.message}")
        )
        grid.add_row("its id", Text(str(letter.dlq_id)))
        if letter.origin is not None:
            where = f"{letter.origin.topic}[{letter.origin.partition}] at offset {letter.origin.offset}"
            grid.add_row("it keeps", Text(f"the record byte for byte, from {where}"))
    screen.print(
        Panel(grid, title="An event that cannot be answered", title_align="left", border_style="dim")
    )
