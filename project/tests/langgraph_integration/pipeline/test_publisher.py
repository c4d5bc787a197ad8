"""The line that says that an event is settled."""

from __future__ import annotations

import logging

import pytest

from langgraph_integration.pipeline import publisher
from tests.langgraph_integration.events import event
from tests.langgraph_integration.rig import running_rig

LOGGER = "langgraph_integration.pipeline.publisher"


async def test_a_settled_event_is_told_with_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    """As any other line: logger, level and place are set, and who asks for the fields finds them."""
    asked = event()
    with caplog.at_level(logging.INFO, LOGGER):
        async with running_rig() as rig:
            rig.publish(asked)
            await rig.settled()

    (line,) = [each for each in caplog.records if each.name == LOGGER]
    assert (line.levelname, line.getMessage()) == ("INFO", "event settled: success")
    assert (line.pathname, line.funcName) == (publisher.__file__, "tell")
    told = {name: vars(line)[name] for name in ("action", "event_id", "status", "reason", "attempt")}
    assert told == {
        "action": "settled",
        "event_id": str(asked.event_id),
        "status": "success",
        "reason": None,
        "attempt": 1,
    }


async def test_levels_and_filters_hold_for_it(caplog: pytest.LogCaptureFixture) -> None:
    """A logger that is told to be quiet, by its level or by a filter of its owner, is quiet."""
    logger = logging.getLogger(LOGGER)
    seen: list[str] = []

    def refuse(record: logging.LogRecord) -> bool:
        seen.append(record.getMessage())
        return False

    logger.addFilter(refuse)
    try:
        async with running_rig() as rig:
            for level in (logging.WARNING, logging.INFO):
                with caplog.at_level(level, LOGGER):
                    rig.publish(event())
                    await rig.settled()
                seen.append(logging.getLevelName(level))
    finally:
        logger.removeFilter(refuse)

    assert seen == ["WARNING", "event settled: success", "INFO"]
    assert [each for each in caplog.records if each.name == LOGGER] == []
