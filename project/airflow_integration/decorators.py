"""`@task.langgraph`: a function that says what the workflow gets; the task gives what it answers."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar

from airflow_integration.airflow_compat import (
    Context,
    DecoratedOperator,
    TaskDecorator,
    context_merge,
    determine_kwargs,
    task_decorator_factory,
)
from airflow_integration.operators import LangGraphWorkflowOperator


class LangGraphDecoratedOperator(DecoratedOperator, LangGraphWorkflowOperator):
    """A `LangGraphWorkflowOperator` whose `task_data` is what the function returns.

    A retry calls the function again. It means the same run, so it had better return the same.
    """

    custom_operator_name = "@task.langgraph"
    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        *(name for name in LangGraphWorkflowOperator.template_fields if name != "task_data"),
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {**DecoratedOperator.template_fields_renderers}

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs, **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """As the operator's, after calling the function."""
        context_merge(context, self.op_kwargs)
        kwargs = determine_kwargs(self.python_callable, self.op_args, context)
        self.task_data = self.python_callable(*self.op_args, **kwargs)
        result: dict[str, Any] = super().execute(context)
        return result


def langgraph_task(
    python_callable: Callable[..., Any] | None = None,
    multiple_outputs: bool | None = None,
    **kwargs: Any,
) -> TaskDecorator:
    """The decorator; keyword arguments are `LangGraphWorkflowOperator`'s."""
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=LangGraphDecoratedOperator,
        **kwargs,
    )
