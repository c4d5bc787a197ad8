"""The link from a task to its run."""

from typing import Any, Final

from airflow_integration.airflow_compat import AIRFLOW_3, BaseOperatorLink, pulled_for_link, setting

EVENT_ID_KEY: Final = "langgraph_event_id"
"""The XCom with the id of the task's run."""


class WorkflowRunLink(BaseOperatorLink):
    """The run's page. `[langgraph_kafka] run_url` says where that is, with `{event_id}` in it. Unset, there
    is no link: we serve no such page.
    """

    name = "LangGraph run"

    @property
    def xcom_key(self) -> str:
        """Where Airflow 3 keeps the address."""
        return "langgraph_run_link"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The address, "" (which Airflow does not show) without `run_url` and before the event is published.
        Airflow 3 asks in the worker, which has the operator at work; Airflow 2 in its web server, which has
        XCom.
        """
        run_url = setting("run_url")
        if run_url is None:
            return ""
        asked = getattr(operator, "asked", None)
        event_id = asked.event_id if asked is not None else None
        if event_id is None and not AIRFLOW_3:
            event_id = pulled_for_link(ti_key, EVENT_ID_KEY)
        return run_url.replace("{event_id}", str(event_id)) if event_id else ""
