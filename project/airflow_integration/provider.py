"""What Airflow is told about this package (entry point `apache_airflow_provider`)."""

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """The provider's parts, as `airflow providers` lists them."""
    package = "airflow_integration"
    integration = "LangGraph over Kafka"
    return {
        "package-name": "langgraph-kafka",
        "name": integration,
        "description": "Hand work to LangGraph workflows through Kafka; wait for the answer without a slot.",
        "integrations": [
            {
                "integration-name": integration,
                "external-doc-url": "https://langchain-ai.github.io/langgraph/",
                "tags": ["software"],
            }
        ],
        "operators": [{"integration-name": integration, "python-modules": [f"{package}.operators"]}],
        "sensors": [{"integration-name": integration, "python-modules": [f"{package}.sensors"]}],
        "hooks": [{"integration-name": integration, "python-modules": [f"{package}.hooks"]}],
        "triggers": [{"integration-name": integration, "python-modules": [f"{package}.triggers"]}],
        "extra-links": [f"{package}.links.WorkflowRunLink"],
        "task-decorators": [{"name": "langgraph", "class-name": f"{package}.decorators.langgraph_task"}],
        "config": {
            "langgraph_kafka": {
                "description": "Options of the tasks that wait for LangGraph workflows.",
                "options": {
                    "resume_hold": _option(
                        "Seconds that a task stays deferred at least, against Airflow's deferral race. "
                        "Unset: [workers] min_heartbeat_interval + 3.",
                        "float",
                        "4",
                    ),
                    "run_url": _option(
                        "The address of a run's page, such as a search in traces, with {event_id} in it. "
                        "Unset: tasks have no link to their run.",
                        "string",
                        "https://logs.example.com/search?q={event_id}",
                    ),
                },
            }
        },
    }


def _option(description: str, kind: str, example: str) -> dict[str, Any]:
    return {
        "description": description,
        "version_added": "0.1.0",
        "type": kind,
        "example": example,
        "default": None,
    }
