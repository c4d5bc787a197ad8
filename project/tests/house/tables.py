"""The exceptions from the rules of the house, each with its reason."""

from __future__ import annotations

LONGER_THAN_300_LINES: dict[str, str] = {}
"""Modules (below project/) that are one thing all the same."""

READS_THE_ENVIRONMENT: dict[str, str] = {
    "workflow_events/settings.py": "KAFKA_* and topics, for both sides",
    "langgraph_integration/environment.py": "WORKFLOW_* and the rest of KAFKA_*, parsed in one way",
    "langgraph_workflows/settings.py": "WORKFLOW_DATA_DIR, read when a file is asked for",
    "langgraph_integration/ops/demo/service.py": "hands the environment on to the service it starts",
    "kafka_devbroker/backends/external.py": "KAFKA_BOOTSTRAP_SERVERS names a broker that is there already",
    "kafka_devbroker/backends/tansu.py": "hands the environment on to the child process",
    "kafka_devbroker/java.py": "JAVA_HOME, KAFKA_HOME and the cache folder",
}
"""Modules (below project/) that may touch os.environ."""

PUBLIC: dict[str, tuple[str, ...]] = {
    "workflow_events": (
        "WorkflowEvent",
        "WorkflowEventPayload",
        "WorkflowEventMetadata",
        "EventType",
        "EventSource",
        "WorkflowEventProducer",
        "WorkflowResultEvent",
    ),
    "langgraph_integration": (
        "LangGraphKafkaConsumer",
        "WorkflowProcessor",
        "event_to_multi_agent_state",
        "ConsumerConfig",
    ),
    "langgraph_integration.config": ("ConsumerConfig",),
    "langgraph_integration.processor": ("WorkflowProcessor", "event_to_multi_agent_state"),
    "langgraph_integration.consumer": ("LangGraphKafkaConsumer",),
    "langgraph_integration.retry": ("RetryConfig", "retry_async", "is_transient_error"),
    "langgraph_integration.dead_letter": ("DeadLetterQueue",),
    "langgraph_integration.result_producer": ("ResultProducer",),
    "langgraph_integration.service": ("main",),
    "langgraph_workflows": ("MultiAgentState", "multi_agent_graph", "execute_multi_agent_workflow"),
    "langgraph_workflows.state": ("MultiAgentState",),
    "langgraph_workflows.multi_agent_workflow": ("multi_agent_graph", "execute_multi_agent_workflow"),
    "airflow_integration": ("WorkflowResultPoller", "trigger_langgraph_workflow"),
    "airflow_integration.result_poller": ("WorkflowResultPoller",),
    "airflow_integration.langgraph_trigger": ("trigger_langgraph_workflow",),
    "kafka_devbroker": ("running_broker", "available_backends"),
}
"""The import paths that the guide and its callers use. They outlive every rearrangement behind them."""
