"""Numbers that JSON has no form for. pydantic reads them as numbers and writes them as null."""

from math import isfinite
from typing import Annotated, Any

from pydantic import AfterValidator, SerializerFunctionWrapHandler, ValidationInfo, WrapSerializer


def _not_finite(value: object, path: str = "") -> str | None:
    """Where the first NaN or infinity stands, and which it is; None if there is none."""
    match value:
        case float() if not isfinite(value):
            return f"{path.removeprefix('.') or 'value'} is {value}, which JSON cannot carry"
        case dict():
            steps = ((f"{path}.{key}", item) for key, item in value.items())
        case list() | tuple():
            steps = ((f"{path}[{index}]", item) for index, item in enumerate(value))
        case _:
            return None
    return next(filter(None, (_not_finite(item, step) for step, item in steps)), None)


def _check(value: dict[str, Any]) -> dict[str, Any]:
    if (problem := _not_finite(value)) is not None:
        raise ValueError(problem)
    return value


def _read(value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    return _check(value) if info.mode == "json" else value


def _write(value: dict[str, Any], handler: SerializerFunctionWrapHandler) -> object:
    written = handler(value)  # refuses what contains itself
    _check(value)
    return written


JsonObject = Annotated[
    dict[str, Any],
    AfterValidator(_read),
    WrapSerializer(_write, return_type=dict[str, Any], when_used="json"),
]
"""An object whose numbers are finite where it is read from JSON or written to it: `model_validate_json` gives
a ValidationError, `model_dump_json` a PydanticSerializationError, each with the path. The codec has checks of
its own; values that only travel inside Python are not looked at."""
