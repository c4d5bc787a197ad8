"""Tables of the guides against the code they tell of."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator
from typing import get_args

from langgraph_integration.config import ConsumerConfig
from tests.docs.pages import ROOT, listings, text
from tests.docs.variables import NOT_SETTINGS, variables
from workflow_events import EventSource, EventType
from workflow_events.dead_letter import DeadLetterReason
from workflow_events.schema import ResultStatus

GUIDE = text(ROOT / "docs/langgraph-kafka-integration-guide.md")
SCHEMA_GUIDE = text(ROOT / "docs/event-schema-guide.md")
FUNDAMENTALS = ROOT / "project/tests/fundamentals"


def test_every_variable_is_in_the_guide() -> None:
    """No setting is a secret."""
    assert sorted(each for each in variables() - NOT_SETTINGS if f"`{each}`" not in GUIDE) == []


def test_every_option_of_the_consumer_is_in_the_guide_with_its_default() -> None:
    """The table of ConsumerConfig; `true` is how a variable says True."""
    rows = dict(re.findall(r"^\| `(\w+)` \| `[A-Z_]+` \| (.+?) \|", GUIDE, flags=re.MULTILINE))
    options = ConsumerConfig().to_dict() | {"state_url": "sqlite:", "graphs_file": "./langgraph.json"}

    assert rows == {name: _shown(value) for name, value in options.items()}


def _shown(value: object) -> str:
    if value is None:
        return "unset"
    return f"`{value:g}`" if isinstance(value, float) else f"`{str(value).replace('True', 'true')}`"


def test_every_word_of_the_wire_is_in_the_schema_guide() -> None:
    """Event types, sources, statuses and reasons of dead letters."""
    words = [*EventType, *EventSource, *get_args(ResultStatus), *get_args(DeadLetterReason)]

    assert [word for word in words if f"`{word}`" not in SCHEMA_GUIDE] == []


def test_every_listing_of_the_guide_is_run_by_the_fundamentals() -> None:
    """Each statement, compared as Python reads it; not those with a printed `...`, and not the imports."""
    run = {_dump(each) for path in FUNDAMENTALS.glob("*.py") for each in _statements(path.read_text())}
    printed = listings(ROOT / "docs/langgraph-kafka-integration-guide.md", "python")
    assert len(printed) > 20

    missing = {
        listing.where: ast.unparse(statement)
        for listing in printed
        for statement in _statements(listing.text)
        if _dump(statement) not in run and "..." not in ast.unparse(statement)
    }
    assert missing == {}


def _statements(source: str) -> Iterator[ast.stmt]:
    """All simple statements, and the heads of compound ones without their bodies."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt) and not isinstance(node, ast.Import | ast.ImportFrom):
            yield node


def _dump(statement: ast.stmt) -> str:
    head = copy.copy(statement)
    for field in ("body", "orelse", "handlers", "finalbody"):
        if hasattr(head, field):
            setattr(head, field, [])
    return ast.dump(head)


def test_the_table_of_the_fundamentals_names_every_test_and_no_other() -> None:
    """Whoever adds a test to the guide's listings says where it comes from, and what was edited."""
    named = set(re.findall(r"`(test_\w+)`", text(FUNDAMENTALS / "README.md")))
    there = {
        node.name
        for path in FUNDAMENTALS.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }
    files = {path.stem for path in FUNDAMENTALS.glob("test_*.py")}

    assert named - files == there
