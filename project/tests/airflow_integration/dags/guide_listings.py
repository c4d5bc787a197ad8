"""The guide's three Airflow listings, as printed. Where it prints `...`, values stand."""

# mypy: ignore-errors
# ---- "Publishing Events from Airflow" ----
from airflow.decorators import task
from workflow_events import WorkflowEventProducer, EventType, EventSource

@task
def trigger_langgraph_workflow(**context):
    producer = WorkflowEventProducer()
    event = producer.publish_workflow_event(
        event_type=EventType.WORKFLOW_TRIGGERED,
        source=EventSource.AIRFLOW,
        workflow_id=context['dag'].dag_id,
        workflow_run_id=context['dag_run'].run_id,
        payload={"data": {"task": "process_data"}},
    )
    producer.close()
    return event.event_id
# ---- it prints no DAG: this one runs the task ----
from airflow.decorators import dag
from datetime import datetime

@dag(dag_id="guide_publishing", start_date=datetime(2025, 1, 1), schedule=None)
def guide_publishing():
    trigger_langgraph_workflow()

guide_publishing()

# ---- "Usage in Airflow Tasks" ----
from airflow.decorators import task, dag
from datetime import datetime
from uuid import UUID
from workflow_events import WorkflowEventProducer, EventType, EventSource
from airflow_integration.result_poller import WorkflowResultPoller

@dag(
    dag_id='langgraph_workflow_dag',
    start_date=datetime(2025, 1, 1),
    schedule=None,
)
def langgraph_workflow_dag():
    @task
    def trigger_and_wait_for_result(**context):
        """Trigger LangGraph workflow and wait for result."""
        # Publish trigger event
        producer = WorkflowEventProducer()
        event = producer.publish_workflow_event(
            event_type=EventType.WORKFLOW_TRIGGERED,
            source=EventSource.AIRFLOW,
            workflow_id=context['dag'].dag_id,
            workflow_run_id=context['dag_run'].run_id,
            payload={"data": {"task": "process_data", "input": "test"}},
        )
        
        correlation_id = event.event_id
        producer.close()
        
        # Poll for result
        poller = WorkflowResultPoller(timeout=300)
        result = poller.poll_for_result(
            correlation_id=correlation_id,
            workflow_id=context['dag'].dag_id,
        )
        
        if result is None:
            raise TimeoutError("Workflow result not received within timeout")
        
        if result["status"] != "success":
            raise RuntimeError(f"Workflow failed: {result.get('error')}")
        
        return result["result"]
    
    trigger_and_wait_for_result()

langgraph_workflow_dag()

# ---- "TASK-030: Usage Example" ----
from airflow.decorators import dag, task
from airflow_integration.langgraph_trigger import trigger_langgraph_workflow

@dag(dag_id="my_workflow", start_date=datetime(2025, 1, 1), schedule=None)
def my_dag():
    @task
    def prepare_data():
        return {"task": "analyze_data", "data": {"records": [{"a": 1}, {"a": 2}, {"a": 4}]}}
    
    @task
    def trigger_workflow(task_data, **context):
        return trigger_langgraph_workflow(
            task_data=task_data,
            timeout=300,  # 5 minutes
            **context
        )
    
    @task
    def process_result(workflow_result):
        # Process the workflow result
        return workflow_result
    
    data = prepare_data()
    result = trigger_workflow(data)
    process_result(result)

my_dag()
