"""What all commands share: exit codes, two streams, and errors told in one line."""

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, ParamSpec, TextIO

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from workflow_events.settings import KafkaSettings

P = ParamSpec("P")

_FILE_WIDTH: Final = 120


class ExitCode(IntEnum):
    """What a script can go by."""

    OK = 0
    UNAVAILABLE = 1
    USAGE = 2
    NOT_SUCCESSFUL = 3
    NO_RESULT = 4
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """One line, for --help and docs/cli.md."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "done; with --wait: the run ended with status success",
    ExitCode.UNAVAILABLE: "the broker, the store or a topic cannot be reached, or the service ended badly",
    ExitCode.USAGE: "an option, a setting or the data given cannot be used",
    ExitCode.NOT_SUCCESSFUL: "the run ended with status failure or error",
    ExitCode.NO_RESULT: "no result within --timeout",
    ExitCode.INTERRUPTED: "ended by Ctrl-C",
}

Servers = Annotated[
    str | None,
    typer.Option(
        "--bootstrap-servers",
        metavar="HOST:PORT,...",
        help="Where Kafka is. Default: KAFKA_BOOTSTRAP_SERVERS, else localhost:9092.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON value on stdout, for programs.")]


def handled(*examples: str) -> Callable[[Callable[P, int | None]], Callable[P, None]]:
    """A command with examples in its help, the exit code that it returns, and our own errors told in one
    line on stderr instead of a traceback.
    """

    def wrap(command: Callable[P, int | None]) -> Callable[P, None]:
        @functools.wraps(command)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            code = _exit_code(lambda: command(*args, **kwargs))
            if code:
                raise typer.Exit(code)

        lines = "\n".join(f"  {example}" for example in examples)
        # \b keeps the lines apart in the help
        run.__doc__ = f"{inspect.cleandoc(command.__doc__ or '')}\n\n\b\nExamples:\n{lines}"
        return run

    return wrap


def _exit_code(command: Callable[[], int | None]) -> int:
    from workflow_events import errors

    try:
        return command() or ExitCode.OK
    except (errors.ConfigurationError, errors.InvalidRecord, errors.NotJson) as error:
        return _told(error, ExitCode.USAGE)
    except errors.WorkflowError as error:
        return _told(error, ExitCode.UNAVAILABLE)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


def _told(error: Exception, code: ExitCode) -> ExitCode:
    typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
    typer.echo(str(error) or type(error).__name__, err=True)
    return code


def people() -> "Console":
    """For answers and tables that a person reads: stdout."""
    return _console(sys.stdout)


def aside() -> "Console":
    """For progress and warnings: stderr, so that stdout stays the answer."""
    return _console(sys.stderr)


def _console(stream: TextIO) -> "Console":
    from rich.console import Console

    # a log or a file has no width of its own, and 80 columns would fold every line
    width = None if stream.isatty() else _FILE_WIDTH
    return Console(file=stream, highlight=False, width=width)


def warn(text: str) -> None:
    """A warning on stderr."""
    typer.secho("warning: ", fg="yellow", bold=True, err=True, nl=False)
    typer.echo(text, err=True)


def emit(value: Any) -> None:
    """One JSON value on stdout, indented."""
    import json

    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def kafka(bootstrap_servers: str | None) -> "KafkaSettings":
    """The connection of this command: option over environment over default."""
    from workflow_events.settings import KafkaSettings

    return KafkaSettings.from_env(bootstrap_servers)


@contextmanager
def reaching_kafka() -> Iterator[None]:
    """Around what needs a broker: an error for want of one says where its address is set."""
    from workflow_events.errors import BrokerUnavailable, PublishFailed

    try:
        yield
    except (BrokerUnavailable, PublishFailed) as error:
        from langgraph_integration.ops.topics import WHERE_KAFKA_IS

        raise BrokerUnavailable(f"{error}. {WHERE_KAFKA_IS}") from error
