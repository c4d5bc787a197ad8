"""The three records as JSON Schemas, for whoever writes or reads them in another language.

`python -m workflow_events.export_schemas docs/schemas` writes them; a test keeps the files in step.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

from workflow_events.dead_letter import DeadLetterEvent
from workflow_events.schema import WireModel, WorkflowEvent, WorkflowResultEvent

SCHEMA_FILES: Final[dict[str, type[WireModel]]] = {
    "workflow-event.json": WorkflowEvent,
    "workflow-result.json": WorkflowResultEvent,
    "dead-letter.json": DeadLetterEvent,
}


def json_schema(model: type[WireModel]) -> dict[str, Any]:
    """What readers accept. Unknown fields are allowed everywhere; an event on the wire must have its id."""
    schema = model.model_json_schema(mode="validation")
    if model is WorkflowEvent:
        schema["required"] = ["event_id", *schema["required"]]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def schema_text(model: type[WireModel]) -> str:
    """The schema as it lies in its file."""
    return json.dumps(json_schema(model), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write the files into the folder that is named. Exit code 2 without one."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m workflow_events.export_schemas FOLDER\n")
        return 2
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name, model in SCHEMA_FILES.items():
        (folder / name).write_text(schema_text(model), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
