"""`langgraph-kafka topics`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from langgraph_integration.ops.console import ExitCode, Json, Servers, emit, handled, kafka, people, warn

if TYPE_CHECKING:
    from langgraph_integration.ops.topics import TopicFacts


@handled(
    "langgraph-kafka topics",
    "langgraph-kafka topics --create --partitions 12",
    "langgraph-kafka topics --json",
)
def topics(
    create: Annotated[bool, typer.Option("--create", help="Create those that do not exist.")] = False,
    partitions: Annotated[int, typer.Option(min=1, help="Of topics that are created.")] = 3,
    replicas: Annotated[
        int, typer.Option(help="Copies of topics that are created; -1 = the broker's default.")
    ] = -1,
    bootstrap_servers: Servers = None,
    as_json: Json = False,
) -> int:
    """Show or create the three topics.

    Names come from KAFKA_WORKFLOW_EVENTS_TOPIC, KAFKA_WORKFLOW_RESULTS_TOPIC and KAFKA_DLQ_TOPIC. Warns
    where results or dead letters take smaller records than events, or are kept shorter. The service itself
    creates nothing. Exit code 1 while one of them is missing.
    """
    from langgraph_integration.ops.topics import create_topics, inspect_topics, warnings_of
    from workflow_events.settings import TopicNames

    settings, names = kafka(bootstrap_servers), TopicNames.from_env()
    created = create_topics(settings, names, partitions=partitions, replicas=replicas) if create else []
    facts = inspect_topics(settings, names)
    warnings = warnings_of(facts)
    if as_json:
        emit({"topics": [asdict(each) for each in facts], "created": created, "warnings": warnings})
    else:
        _show(facts, created)
        for warning in warnings:
            warn(warning)
    return ExitCode.OK if all(each.exists for each in facts) else ExitCode.UNAVAILABLE


def _show(facts: "list[TopicFacts]", created: list[str]) -> None:
    from rich.table import Table

    from langgraph_integration.ops.topics import duration

    table = Table("topic", "holds", "partitions", "replicas", "kept", "max.message.bytes", "")
    for each in facts:
        unknown = "unknown" if each.exists else "-"
        table.add_row(
            each.name,
            each.role,
            str(each.partitions or "-"),
            str(each.replicas or unknown),
            duration(each.retention_ms) if each.exists else "-",
            unknown if each.max_message_bytes is None else f"{each.max_message_bytes:,}",
            "created" if each.name in created else "" if each.exists else "[red]missing[/red]",
        )
    people().print(table)
