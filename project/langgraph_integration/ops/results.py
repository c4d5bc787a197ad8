"""A result on screen, for `trigger --wait` and `result`."""

from typing import TYPE_CHECKING
from uuid import UUID

import typer

from langgraph_integration.ops.console import ExitCode, emit, people

if TYPE_CHECKING:
    from workflow_events.exchange import ReceivedResult

_COLOURS = {"success": "green", "failure": "yellow", "error": "red"}


def show_result(found: "ReceivedResult", as_json: bool) -> ExitCode:
    """Print the result and return the exit code that its status means."""
    if as_json:
        emit(found.record)
    else:
        _print(found)
    return ExitCode.OK if found.event.status == "success" else ExitCode.NOT_SUCCESSFUL


def no_result(event_id: UUID | str, timeout: float) -> ExitCode:
    """Say that time is up, and what to do."""
    typer.echo(
        f"no result for {event_id} within {timeout:g} s. Does a service run (langgraph-kafka serve)? "
        f"`langgraph-kafka result {event_id}` looks again",
        err=True,
    )
    return ExitCode.NO_RESULT


def _print(found: "ReceivedResult") -> None:
    from rich.json import JSON
    from rich.text import Text

    event, screen = found.event, people()
    headline = Text.assemble((event.status, f"bold {_COLOURS[event.status]}"), f"  {event.workflow_id}")
    screen.print(headline, Text(f"event {event.correlation_id}, attempt {event.attempt or 1}", style="dim"))
    if event.error:
        screen.print(Text(event.error, style="red"))
    conclusion = event.result.get("conclusion")
    if isinstance(conclusion, str):
        screen.print(Text(conclusion))
    if event.result:
        screen.print(JSON.from_data(event.result))
