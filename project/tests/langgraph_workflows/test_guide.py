"""The guide to the built-in graph says what is true."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from langgraph_workflows.limits import (
    LIGHT_CELLS,
    MAX_COLUMNS,
    MAX_FILE_BYTES,
    MAX_FILE_COLUMNS,
    MAX_NAME_CHARS,
    MAX_ROWS,
)
from langgraph_workflows.request import WORDS

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "langgraph-multi-agent-workflow-guide.md").read_text(encoding="utf-8")


def listings(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listings run where a reader would run them, and leave no variable behind."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("WORKFLOW_DATA_DIR", "replaced by the listing")


@pytest.mark.usefixtures("at_the_root")
def test_the_listings_run_one_after_the_other() -> None:
    """In one session, as a reader would type them."""
    names: dict[str, object] = {}
    assert len(listings("python")) == 4
    for listing in listings("python"):
        exec(compile(listing, "guide", "exec"), names)


def test_the_words_that_choose_an_analysis_are_all_listed() -> None:
    """And no others: `rise(s)` stands for two."""
    for analysis_type, words in WORDS.items():
        (row,) = re.findall(rf"^\| `{analysis_type}` \| (.*) \|$", GUIDE, flags=re.MULTILINE)
        assert set(spelt_out(row)) == words


def spelt_out(row: str) -> Iterator[str]:
    for word in row.split(", "):
        yield word.replace("(s)", "")
        if word.endswith("(s)"):
            yield word.replace("(s)", "s")


@pytest.mark.parametrize(
    "limit",
    [
        f"{MAX_ROWS:,} rows",
        f"{MAX_COLUMNS} columns",
        f"{MAX_FILE_COLUMNS:,} columns in a file",
        f"{MAX_FILE_BYTES // 1024**2} MiB",
        f"{MAX_NAME_CHARS} characters",
        f"more than {LIGHT_CELLS:,} cells",
    ],
)
def test_the_limits_are_those_of_the_code(limit: str) -> None:
    """Whoever changes one changes the page."""
    assert limit in GUIDE.replace("\n", " ").replace("  ", " ")


def test_the_langgraph_json_shown_is_that_of_the_example() -> None:
    """To the letter."""
    (shown,) = listings("json")
    example = (ROOT / "examples" / "own_graph" / "langgraph.json").read_text(encoding="utf-8")
    assert json.loads(shown) == json.loads(example)
