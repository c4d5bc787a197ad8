"""`langgraph-kafka version`."""

import typer

from langgraph_integration.ops.console import Json, emit, handled

_SHOWN = ("langgraph", "langgraph-checkpoint", "aiokafka", "confluent-kafka", "pydantic")


@handled(
    "langgraph-kafka version",
    "langgraph-kafka version --json",
)
def version(as_json: Json = False) -> None:
    """Show the versions in use."""
    import platform
    from importlib.metadata import version as installed

    versions = {name: installed(name) for name in ("langgraph-kafka", *_SHOWN)}
    versions["python"] = platform.python_version()
    if as_json:
        emit(versions)
    else:
        typer.echo("\n".join(f"{name} {number}" for name, number in versions.items()))
