"""Errors as the clients of models raise them."""

from __future__ import annotations

from collections.abc import Mapping


class Response:
    """What an HTTP client attaches to its error."""

    def __init__(self, status_code: int, headers: Mapping[str, str]) -> None:
        self.status_code = status_code
        self.headers = headers


class HttpError(Exception):
    """An error whose response carries a status, as httpx and the model SDKs have it."""

    def __init__(self, message: str, status: int, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.response = Response(status, headers or {})
