"""docs/cli.md, made from the commands; `python -m langgraph_integration.ops.cli_page` prints it."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from typer.models import ArgumentInfo

from langgraph_integration.ops.cli import COMMANDS
from langgraph_integration.ops.console import ExitCode

_HEAD = """# The command line

<!-- Made by `python -m langgraph_integration.ops.cli_page`; edit the commands in ops/commands/. -->

`langgraph-kafka COMMAND --help` says the same. Answers go to stdout, progress, warnings and errors to stderr;
with `--json` stdout is one JSON value, empty after an error. Connection and topics come from the environment
(`KAFKA_BOOTSTRAP_SERVERS`, `KAFKA_SECURITY_PROTOCOL`, `KAFKA_WORKFLOW_EVENTS_TOPIC` ...); an option wins.

## Exit codes

| code | meaning |
|---|---|
"""


def cli_page() -> str:
    """The whole page."""
    codes = "\n".join(f"| {code.value} | {code.meaning} |" for code in ExitCode)
    return "\n".join([_HEAD + codes, *(_section(command) for command in COMMANDS)]) + "\n"


def _section(command: Callable[..., None]) -> str:
    text, _, examples = (command.__doc__ or "").partition("\b\nExamples:\n")
    rows = "\n".join(_row(each) for each in inspect.signature(command, eval_str=True).parameters.values())
    lines = "\n".join(line.strip() for line in examples.splitlines())
    return (
        f"\n## langgraph-kafka {command.__name__}\n\n{text.strip()}\n\n"
        f"| option | meaning | default |\n|---|---|---|\n{rows}\n\n```bash\n{lines}\n```"
    )


def _row(parameter: inspect.Parameter) -> str:
    kind, info = get_args(parameter.annotation)
    default = parameter.default
    if isinstance(info, ArgumentInfo):
        return f"| `{info.metavar}` | {info.help} | |"
    # in an Annotated, typer keeps the first spelling where the default used to be
    spellings = [each for each in (info.default, *(info.param_decls or ())) if isinstance(each, str)]
    name = spellings[0] if spellings else f"--{parameter.name.replace('_', '-')}"
    if kind is bool:
        spelling = f"`{name}`, `--no-{parameter.name}`" if default else f"`{name}`"
        return f"| {spelling} | {info.help} | {'on' if default else ''} |"
    shown = "" if default is None else f"`{default:g}`" if isinstance(default, float) else f"`{default}`"
    value = (info.metavar or _value(kind)).replace("|", "\\|")
    return f"| `{name} {value}` | {info.help} | {shown} |"


def _value(kind: Any) -> str:
    choices = get_args(kind)
    if get_origin(kind) is Literal:
        return "|".join(choices)
    plain = next((each for each in choices if each is not type(None)), kind)
    return {int: "N", float: "N", str: "TEXT", Path: "PATH"}[plain]


if __name__ == "__main__":
    import sys

    sys.stdout.write(cli_page())
