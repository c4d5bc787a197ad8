"""`langgraph-kafka gc`."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langgraph_integration.ops.console import Json, emit, handled

if TYPE_CHECKING:
    from langgraph_integration.store import Retention, SweepReport

_OWNER = "langgraph-kafka gc"  # takes no lease


@handled(
    "langgraph-kafka gc --dry-run",
    "langgraph-kafka gc --keep-runs 30 --state-url postgresql://db/agents",
)
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, delete nothing.")] = False,
    state_url: Annotated[str | None, typer.Option(help="Default: WORKFLOW_STATE_URL.")] = None,
    keep_runs: Annotated[
        float,
        typer.Option(min=0.0, help="Days that finished runs are kept: as long, a repeated event runs once."),
    ] = 14.0,
    keep_checkpoints: Annotated[
        float, typer.Option(min=0.0, help="Days that the checkpoints of finished runs are kept.")
    ] = 1.0,
    as_json: Json = False,
) -> None:
    """Remove old finished runs from the store.

    Safe while services run. What runs, waits for a retry or was never published is kept, however old.
    A SQLite file that does not exist is not made but refused, exit code 2.
    """
    import asyncio
    from dataclasses import asdict

    from langgraph_integration.store import Retention

    retention = Retention(runs=timedelta(days=keep_runs), checkpoints=timedelta(days=keep_checkpoints))
    report = asyncio.run(_sweep(state_url, retention, dry_run))
    if as_json:
        emit(asdict(report))
    else:
        verb = "would be removed" if report.dry_run else "removed"
        typer.echo(
            f"{verb}: {report.runs} runs, {report.checkpoints} checkpoints, {report.writes} pending writes"
        )


async def _sweep(state_url: str | None, retention: "Retention", dry_run: bool) -> "SweepReport":
    from langgraph_integration.config import ConsumerConfig
    from langgraph_integration.store import open_store
    from langgraph_integration.store.urls import SqliteUrl, parse_url
    from workflow_events.errors import ConfigurationError

    given: dict[str, Any] = {"state_url": state_url}
    url = ConsumerConfig(**given).state_url
    store = parse_url(url)
    if isinstance(store, SqliteUrl) and not store.path.exists():
        raise ConfigurationError(
            f"WORKFLOW_STATE_URL or --state-url: there is no file {store.path}; nothing was looked at"
        )
    async with open_store(url, owner=_OWNER, lease_time=timedelta(seconds=30)) as opened:
        return await opened.gc(retention, dry_run=dry_run)
