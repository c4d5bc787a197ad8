"""`langgraph-kafka`: the command line."""

import logging

import typer

from langgraph_integration.ops.commands.broker import broker
from langgraph_integration.ops.commands.demo import demo
from langgraph_integration.ops.commands.gc import gc
from langgraph_integration.ops.commands.result import result
from langgraph_integration.ops.commands.serve import serve
from langgraph_integration.ops.commands.topics import topics
from langgraph_integration.ops.commands.trigger import trigger
from langgraph_integration.ops.commands.version import version
from langgraph_integration.ops.console import ExitCode

COMMANDS = (demo, serve, broker, trigger, result, topics, gc, version)

_EXIT_CODES = "\n".join(f"  {code.value:<4}{code.meaning}" for code in ExitCode)

app = typer.Typer(
    name="langgraph-kafka",
    help="Hand work to LangGraph agents through Kafka and get the answer back.\n\n"
    "Start with `langgraph-kafka demo`. Answers go to stdout, progress and errors to stderr.\n\n"
    f"\b\nExit codes:\n{_EXIT_CODES}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # plain help: loading rich for it costs as much time as all the rest, and examples keep their lines
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for _command in COMMANDS:
    app.command()(_command)


def main() -> None:
    """The entry point: runs the command of `sys.argv` and exits with its code."""
    # what a client library complains about on the way is in the error that ends the command
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    app()
