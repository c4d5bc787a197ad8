"""`langgraph-kafka result`."""

from typing import Annotated
from uuid import UUID

import typer

from langgraph_integration.ops.console import Json, Servers, handled, kafka, reaching_kafka


@handled(
    "langgraph-kafka result 0198a3f0-5d5e-7b63-9c3e-2f6f4f7d9c11",
    "langgraph-kafka result 0198a3f0-5d5e-7b63-9c3e-2f6f4f7d9c11 --timeout 60 --json",
)
def result(
    event_id: Annotated[UUID, typer.Argument(metavar="EVENT_ID", help="As trigger printed it.")],
    timeout: Annotated[float, typer.Option(min=0.0, help="Seconds to wait where there is none yet.")] = 10.0,
    bootstrap_servers: Servers = None,
    as_json: Json = False,
) -> int:
    """Show the result of an event, also one of long ago.

    It is found as long as the results topic keeps it.

    Exit codes: 0 success, 3 failure or error, 4 no result in time.
    """
    from langgraph_integration.ops.results import no_result, show_result
    from workflow_events.exchange import ResultExchange

    with reaching_kafka(), ResultExchange(settings=kafka(bootstrap_servers)) as exchange:
        found = exchange.wait(event_id, timeout, fail_fast=True)
    return no_result(event_id, timeout) if found is None else show_result(found, as_json)
