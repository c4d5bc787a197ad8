"""The event loop of the service's process."""

import asyncio

import pytest

from langgraph_integration.event_loop import new_event_loop
from workflow_events.errors import ConfigurationError

uvloop = pytest.importorskip("uvloop", reason="uvloop is not made for this platform")


@pytest.mark.parametrize("chosen", [None, "auto", "uvloop"])
def test_uvloop_is_taken_where_it_is_installed(chosen: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default, and where it is asked for."""
    monkeypatch.delenv("WORKFLOW_EVENT_LOOP", raising=False)
    if chosen is not None:
        monkeypatch.setenv("WORKFLOW_EVENT_LOOP", chosen)

    with asyncio.Runner(loop_factory=new_event_loop()) as runner:
        assert type(runner.get_loop()).__module__.partition(".")[0] == "uvloop"


def test_asyncio_is_taken_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """For whoever has a graph that uvloop does not get on with."""
    monkeypatch.setenv("WORKFLOW_EVENT_LOOP", "asyncio")

    with asyncio.Runner(loop_factory=new_event_loop()) as runner:
        assert type(runner.get_loop()).__module__.partition(".")[0] == "asyncio"


def test_another_loop_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the variable and what it accepts."""
    monkeypatch.setenv("WORKFLOW_EVENT_LOOP", "trio")

    with pytest.raises(ConfigurationError, match="WORKFLOW_EVENT_LOOP is 'trio'; use one of auto"):
        new_event_loop()
