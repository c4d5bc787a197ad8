"""What is said while the demo runs: one line a step, the same with and without a terminal."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from workflow_events.errors import InfrastructureError


class DemoFailed(InfrastructureError):
    """A step of the demo did not come to its end. The text says which, and shows the end of the log."""


class Steps:
    """Prints `what ... how it went (0.4 s)` for each step, with a spinner where there is a terminal."""

    def __init__(self, screen: Console) -> None:
        self.screen = screen

    @contextmanager
    def step(self, what: str) -> Iterator[list[str]]:
        """One step; append to the list what is worth saying about its end."""
        said: list[str] = []
        began = time.monotonic()
        if self.screen.is_terminal:
            with self.screen.status(f"{what} ..."):
                yield said
        else:
            yield said
        took = f"{time.monotonic() - began:.1f} s"
        line = Text.assemble(
            ("ok  ", "green"), what, (f"  {' '.join(said)}" if said else ""), (f"  {took}", "dim")
        )
        self.screen.print(line)
