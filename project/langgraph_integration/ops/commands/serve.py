"""`langgraph-kafka serve`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from langgraph_integration.ops.console import Servers, handled


@handled(
    "langgraph-kafka serve",
    "langgraph-kafka serve --config ~/agents/langgraph.json --workers 4 --max-concurrency 50",
    "WORKFLOW_STATE_URL=postgresql://db/agents langgraph-kafka serve --bootstrap-servers kafka:9092",
)
def serve(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="LANGGRAPH.JSON",
            help="Names your graphs. Default: LANGGRAPH_CONFIG, ./langgraph.json, the built-in graph.",
        ),
    ] = None,
    bootstrap_servers: Servers = None,
    topic: Annotated[str | None, typer.Option(help="Of events. KAFKA_WORKFLOW_EVENTS_TOPIC.")] = None,
    group_id: Annotated[str | None, typer.Option(help="KAFKA_CONSUMER_GROUP_ID.")] = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="A new group starts at the first event, not at the end.")
    ] = False,
    state_url: Annotated[
        str | None,
        typer.Option(help="Where runs are kept: sqlite:PATH, postgresql://..., memory:. WORKFLOW_STATE_URL."),
    ] = None,
    max_concurrency: Annotated[
        int | None, typer.Option(min=1, help="Runs at once. WORKFLOW_MAX_CONCURRENCY.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds a run may take. WORKFLOW_EXECUTION_TIMEOUT.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes, each with --max-concurrency runs at once. WORKFLOW_WORKERS. Default: one per "
            "core; one with state in memory.",
        ),
    ] = None,
    http_port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Health and metrics on 127.0.0.1; 0 = off. WORKFLOW_HTTP_PORT."),
    ] = None,
) -> int:
    """Run the service until Ctrl-C or SIGTERM.

    Takes events, runs graphs, publishes results and dead letters.

    Options win over the environment; every other setting has its variable. With one worker the same as
    `python -m langgraph_integration.service`; several are members of one group under a supervisor, which
    starts a worker that died again and serves health and metrics of all. Exit codes: 0 stopped in order,
    1 could not run or the last commit is unknown, 2 settings that cannot be used, 130 forced by a second
    signal.
    """
    from langgraph_integration.config import ConsumerConfig
    from langgraph_integration.garbage import hold_garbage
    from langgraph_integration.ops.logs import configure_logging
    from langgraph_integration.ops.settings import HttpSettings, LogSettings, worker_count

    given: dict[str, Any] = {
        "graphs_file": None if config is None else str(config),
        "bootstrap_servers": bootstrap_servers,
        "topic": topic,
        "group_id": group_id,
        "auto_offset_reset": "earliest" if from_beginning else None,
        "state_url": state_url,
        "max_concurrency": max_concurrency,
        "execution_timeout": timeout,
    }
    settings = ConsumerConfig(**given)
    http = HttpSettings.from_env(http_port)
    logs = LogSettings.from_env()
    configure_logging(logs, secrets=settings.secrets())
    count = worker_count(workers, settings.state_url)
    if count > 1:
        from langgraph_integration.ops.supervisor import supervise

        return supervise(settings, http, logs, count)
    hold_garbage()
    from langgraph_integration.service import run

    return run(settings, http=http)
