"""The examples in the repository are what they say, and their figures are the known ones."""

import asyncio
import importlib.util
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from langgraph_workflows import multi_agent_graph
from tests.langgraph_workflows.asking import analysis, on_thread, request

EXAMPLES = Path(__file__).parents[3] / "examples"
EVENTS: list[dict[str, Any]] = json.loads((EXAMPLES / "events.json").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples' own."""
    monkeypatch.setenv("WORKFLOW_DATA_DIR", str(EXAMPLES / "data"))


def found(workflow_id: str) -> dict[str, Any]:
    event = next(event for event in EVENTS if event["workflow_id"] == workflow_id)
    return analysis(event["data"], task=event["task"])


def test_the_nile_is_the_nile() -> None:
    """A hundred years, 91,935 in sum, 1913 the driest."""
    nile = pl.read_csv(EXAMPLES / "data" / "nile.csv")
    assert nile.shape == (100, 2)
    assert nile["year"].to_list() == list(range(1871, 1971))
    assert nile["volume"].sum() == 91_935
    assert nile.row(by_predicate=pl.col("year") == 1913) == (1913, 456)


@pytest.mark.parametrize("event", EVENTS, ids=[event["workflow_id"] for event in EVENTS])
async def test_every_example_event_completes_with_figures(event: dict[str, Any]) -> None:
    """What the demo publishes works."""
    state = await multi_agent_graph.ainvoke(request(event["task"], event["data"]), on_thread())
    assert state["completed"] is True
    assert state["agent_results"]["analysis"]["analysis"]["figures"]


def test_the_flow_of_the_nile_fell_but_not_after_the_dam() -> None:
    """Cobb's data: a drop about 1899, and no drift since."""
    whole, since = found("nile_trend")["figures"]["volume"], found("nile_since_the_dam")["figures"]["volume"]
    assert whole["slope"] == pytest.approx(-2.714, abs=5e-4)
    assert (whole["direction"], whole["per"]) == ("falling", "year")
    assert since["direction"] == "none shown"


def test_carbon_dioxide_grew_by_a_third_more_than_one_ppm_a_year() -> None:
    """Between 1958 and 2001, with 59 weeks missing."""
    figures = found("co2_trend")["figures"]["ppm"]
    assert figures["slope"] == pytest.approx(1.343, abs=1e-3)
    assert (figures["rows"], figures["left_out"]) == (2225, 59)


def test_anscombes_slopes_are_all_one_half() -> None:
    """His point: 0.500 in each set, R² 0.67, and yet they look nothing alike."""
    figures = found("anscombe_slopes")["figures"]
    for name in ("y1", "y2", "y3"):
        assert figures[name]["slope"] == pytest.approx(0.5, abs=1e-3)
        assert figures[name]["r_squared"] == pytest.approx(0.666, abs=1e-3)
    assert [row["value"] for row in found("anscombe_outliers")["figures"]["y3"]["anomalies"]] == [12.74]


def test_el_nino_stands_out() -> None:
    """The years 1983 and 1998."""
    months = found("el_nino_outliers")["figures"].values()
    assert {1983, 1998} <= {row["time"] for month in months for row in month.get("anomalies", [])}


def test_the_own_graph_counts_words() -> None:
    """Loaded the way that its langgraph.json names it."""
    folder = EXAMPLES / "own_graph"
    config = json.loads((folder / "langgraph.json").read_text(encoding="utf-8"))
    file, _, attribute = config["graphs"]["word_count"].partition(":")
    spec = importlib.util.spec_from_file_location("own_graph", folder / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    graph = getattr(module, attribute).compile()
    assert asyncio.run(graph.ainvoke({"text": "to be or not to be"})) == {
        "words": 6,
        "commonest": "to",
        "sentence": "6 words, most often 'to'.",
    }
    assert asyncio.run(graph.ainvoke({"text": " "}))["sentence"] == "There are no words."
