"""What importing the schema costs."""

import subprocess
import sys

from tests.support.waiting import wait_until_sync


def _python(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_schema_needs_no_kafka_client() -> None:
    """Whoever only reads records does not load one, and the producer loads it on first use."""
    program = (
        "import sys, workflow_events, workflow_events.codec, workflow_events.settings\n"
        "assert 'confluent_kafka' not in sys.modules\n"
        "workflow_events.WorkflowEventProducer\n"
        "print('confluent_kafka' in sys.modules)"
    )

    assert _python(program) == "True"


def test_importing_it_is_quick() -> None:
    """Next to nothing beside pydantic, without which there is no schema. The best of some tries counts."""
    program = (
        "import time, pydantic\n"
        "class Warm(pydantic.BaseModel): text: str\n"
        "began = time.process_time()\n"
        "import workflow_events\n"
        "print(time.process_time() - began)"
    )

    wait_until_sync(lambda: float(_python(program)) < 0.2, 30, "an import below 0.2 s of processor time")


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As of any module."""
    assert _python("import workflow_events; print(hasattr(workflow_events, 'Nothing'))") == "False"
