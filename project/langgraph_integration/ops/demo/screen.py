"""The demo on screen: the table of answers, and what became of the event that had to fail."""

from collections.abc import Sequence

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
    table = Table(title="Results", title_justify="left", header_style="bold", show_lines=False)
    table.add_column("task", ratio=4)
    table.add_column("status")
    table.add_column("agents", no_wrap=True)
    table.add_column("headline", ratio=6)
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
    found = answer.found
    lines = Text()
    lines.append("asked     ", style="dim").append(f"graph {answer.event.graph!r}\n")
    lines.append("result    ", style="dim")
    if found is None:
        lines.append("none\n", style="red")
    else:
        lines.append(f"{found.event.status}: ", style=_COLOURS[found.event.status])
        lines.append(f"{found.event.error}\n")
    lines.append("dead letter  ", style="dim")
    if letter is None:
        lines.append("none", style="red")
    else:
        where = letter.origin
        lines.append(f"reason {letter.reason}, {letter.error.type}: {letter.error.message}\n")
        lines.append("          ", style="dim")
        lines.append(
            f"{letter.dlq_id}; the record as it came, from {where.topic}[{where.partition}] at {where.offset}"
            if where
            else str(letter.dlq_id)
        )
    screen.print(
        Panel(lines, title="An event that cannot be answered", title_align="left", border_style="dim")
    )
