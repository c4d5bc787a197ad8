"""The JSON Schemas in docs/schemas are those of the code."""

import json
from pathlib import Path

import jsonschema
import pytest

from tests.workflow_events.samples import a_result, an_event
from workflow_events.codec import encode
from workflow_events.export_schemas import SCHEMA_FILES, json_schema, main, schema_text
from workflow_events.schema import WorkflowEvent

DOCS = Path(__file__).parents[3] / "docs" / "schemas"


@pytest.mark.parametrize("name", list(SCHEMA_FILES))
def test_the_files_are_in_step_with_the_models(name: str) -> None:
    """If this fails: python -m workflow_events.export_schemas docs/schemas"""
    assert (DOCS / name).read_text(encoding="utf-8") == schema_text(SCHEMA_FILES[name])


def test_the_files_are_written_where_one_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One folder, made if need be; without one a usage line."""
    assert main([str(tmp_path / "new")]) == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(SCHEMA_FILES)
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err


def test_what_we_write_is_valid_by_its_schema() -> None:
    """Optional fields set and not set."""
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    samples = [
        an_event(),
        an_event(graph="mine", event_type="workflow.cancel"),
        a_result(),
        a_result(status="error", attempt=2),
    ]
    for sample in samples:
        validator = jsonschema.Draft202012Validator(json_schema(type(sample)), format_checker=checker)
        validator.validate(json.loads(encode(sample)))


def test_the_schema_refuses_what_the_reader_refuses() -> None:
    """An event without its id, and one with an unknown environment."""
    validator = jsonschema.Draft202012Validator(json_schema(WorkflowEvent))
    good = json.loads(encode(an_event()))

    assert validator.is_valid(good | {"unknown": 1})
    assert not validator.is_valid({name: value for name, value in good.items() if name != "event_id"})
    assert not validator.is_valid(good | {"metadata": {"environment": "test"}})
