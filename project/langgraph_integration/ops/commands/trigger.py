"""`langgraph-kafka trigger`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langgraph_integration.ops.console import ExitCode, Json, Servers, emit, handled, kafka, reaching_kafka

if TYPE_CHECKING:
    from workflow_events import WorkflowEvent, WorkflowEventProducer
    from workflow_events.settings import KafkaSettings

_PUBLISH_TIMEOUT = 10.0  # seconds, as the producer's own default


@handled(
    'langgraph-kafka trigger --task "find outliers" --data \'[{"x": 1}, {"x": 2}, {"x": 90}]\' --wait',
    'langgraph-kafka trigger --task "summary of sales" --data @sales.json',
    'langgraph-kafka trigger --graph my_graph --data \'{"question": "why?"}\' --wait --json',
)
def trigger(
    task: Annotated[str | None, typer.Option(help="What to do, in words. Default: process_workflow.")] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="JSON|@FILE|@-",
            help="What to work on: an object, or an array of records. @FILE reads a file, @- stdin.",
        ),
    ] = None,
    graph: Annotated[
        str | None,
        typer.Option(help="A graph of the service's langgraph.json. Default: the service chooses."),
    ] = None,
    workflow_id: Annotated[str, typer.Option(help="Whose run it is.")] = "command-line",
    run_id: Annotated[str | None, typer.Option(help="Default: manual__ and the time.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the result and show it.")] = False,
    timeout: Annotated[float, typer.Option(min=0.0, help="Seconds to wait.")] = 300.0,
    bootstrap_servers: Servers = None,
    as_json: Json = False,
) -> int:
    """Ask for a run and, with --wait, show its result.

    Prints the event's id without --wait.

    Exit codes with --wait: 0 success, 3 failure or error, 4 no result in time (the run may go on;
    `langgraph-kafka result ID` fetches it later).
    """
    from workflow_events import (
        EventSource,
        EventType,
        WorkflowEvent,
        WorkflowEventPayload,
        WorkflowEventProducer,
    )
    from workflow_events.settings import EventDefaults

    payload = {
        name: value for name, value in (("task", task), ("data", read_data(data))) if value is not None
    }
    settings = kafka(bootstrap_servers)
    event = WorkflowEvent(
        event_type=EventType.WORKFLOW_TRIGGERED,
        source=EventSource.LANGGRAPH,
        workflow_id=workflow_id,
        workflow_run_id=run_id or _manual_run_id(),
        payload=WorkflowEventPayload(data=payload),
        metadata=EventDefaults.from_env().metadata(),
        graph=graph,
    )
    with reaching_kafka(), WorkflowEventProducer(settings=settings) as producer:
        if wait:
            return _ask(event, producer, settings, timeout, as_json)
        producer.publish(event, None, _PUBLISH_TIMEOUT)
        if as_json:
            emit({"event_id": str(event.event_id), "topic": producer.topic})
        else:
            typer.echo(str(event.event_id))
    return ExitCode.OK


def read_data(text: str | None) -> dict[str, Any] | None:
    """The object that `--data` means; an array is `{"records": [...]}`. Raises `ConfigurationError`."""
    from workflow_events.codec import parse_json
    from workflow_events.errors import ConfigurationError, InvalidRecord

    if text is None:
        return None
    try:
        value = parse_json(_source(text))
    except OSError as error:
        raise ConfigurationError(f"--data: cannot read {text[1:]}: {error.strerror}") from error
    except InvalidRecord as error:
        raise ConfigurationError(f"--data is no JSON: {error}") from error
    if isinstance(value, list):
        return {"records": value}
    if not isinstance(value, dict):
        raise ConfigurationError(f"--data is {json.dumps(value)}; give a JSON object, or an array of records")
    return value


def _source(text: str) -> bytes:
    if text == "@-":
        return sys.stdin.buffer.read()
    return Path(text[1:]).expanduser().read_bytes() if text.startswith("@") else text.encode()


def _manual_run_id() -> str:
    from datetime import UTC, datetime

    return f"manual__{datetime.now(UTC).isoformat(timespec='milliseconds')}"


def _ask(
    event: "WorkflowEvent",
    producer: "WorkflowEventProducer",
    settings: "KafkaSettings",
    timeout: float,
    as_json: bool,
) -> int:
    from langgraph_integration.ops.results import no_result, show_result
    from workflow_events.exchange import ResultExchange

    def tell() -> None:
        # whoever presses Ctrl-C must know whether the event is on its way
        if not as_json:
            typer.echo(f"event {event.event_id} published, waiting for its result", err=True)

    with ResultExchange(settings=settings) as exchange:
        found = exchange.ask(event, producer, timeout, on_published=tell)
    return no_result(event.event_id, timeout) if found is None else show_result(found, as_json)
