"""Logs for programs (one JSON object a line) and for people, free of secrets either way."""

import logging
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import IO, Any

import orjson

from langgraph_integration.ops.settings import LogSettings

HIDDEN = "***"

_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_SECRET_NAME = re.compile(r"passw|secret|token|api_?key|authorization|credential", re.IGNORECASE)
_PASSWORD_IN_URL = re.compile(r"(?<=://)([^\s:/@]*):[^\s/@]+(?=@)")
_SHOW_AGAIN_S = 10.0
_SHORTEST_SECRET = 4  # hiding shorter ones would hide half of the text


def configure_logging(
    settings: LogSettings, *, secrets: Iterable[str | None] = (), stream: IO[str] | None = None
) -> None:
    """Send every log record of this process to `stream` (default: stderr) in the chosen format.

    `secrets` are values that must not appear, wherever they come from.
    """
    hide = Redactor(secrets)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines(hide) if settings.format == "json" else HumanLines(hide))
    handler.addFilter(NowAndThen("aiokafka"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level)
    # their own news is ours to tell, once and in our words
    for noisy in ("aiokafka", "uvicorn", "httpx", "asyncio"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


class NowAndThen(logging.Filter):
    """Lets one record of a kind (logger and unformatted message) through every ten seconds, for the loggers
    of one library. aiokafka writes sixty errors a second while a broker is away; our own line says it once.
    """

    def __init__(self, library: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._library = library
        self._clock = clock
        self._shown_at: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        if record.name.partition(".")[0] != self._library:
            return True
        kind, now = (record.name, str(record.msg)), self._clock()
        if now - self._shown_at.get(kind, -_SHOW_AGAIN_S) < _SHOW_AGAIN_S:
            return False
        self._shown_at[kind] = now
        return True


class Redactor:
    """Takes known secrets and passwords in URLs out of texts, and whole fields by their name."""

    def __init__(self, secrets: Iterable[str | None] = ()) -> None:
        known = sorted(
            {each for each in secrets if each and len(each) >= _SHORTEST_SECRET}, key=len, reverse=True
        )
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def text(self, text: str) -> str:
        """The text with every secret replaced."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        # an event makes a line of several texts, and hardly ever is there a URL in one
        return _PASSWORD_IN_URL.sub(rf"\1:{HIDDEN}", text) if "://" in text else text

    def fields(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Extra fields of a record: secret by name, or with secrets in their texts."""
        return {name: self._field(name, value) for name, value in fields.items()}

    def _field(self, name: str, value: Any) -> Any:
        if _is_secret(name):
            return HIDDEN
        return self.text(value) if isinstance(value, str) else value


class JsonLines(logging.Formatter):
    """`{"time", "level", "logger", "message", ...extra, "error"}`, one object a line."""

    def __init__(self, hide: Redactor) -> None:
        super().__init__()
        self._hide = hide

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON; values JSON does not know become their text."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._hide.text(record.getMessage()),
            **self._hide.fields(_extra(record)),
        }
        if trace := _traceback(record):
            line["error"] = self._hide.text(trace)
        return orjson.dumps(line, default=lambda value: self._hide.text(str(value)), option=_JSON).decode()


class HumanLines(logging.Formatter):
    """`HH:MM:SS LEVEL message  action=... event_id=...`."""

    def __init__(self, hide: Redactor) -> None:
        super().__init__()
        self._hide = hide

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line for a person, its fields behind the message, a traceback below."""
        moment = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        fields = " ".join(f"{name}={value}" for name, value in self._hide.fields(_extra(record)).items())
        line = f"{moment} {record.levelname:<7} {self._hide.text(record.getMessage())}"
        text = f"{line}  {fields}" if fields else line
        return f"{text}\n{self._hide.text(trace)}" if (trace := _traceback(record)) else text


_JSON = orjson.OPT_NON_STR_KEYS


@lru_cache(maxsize=1000)
def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(record).items()
        if name not in _STANDARD_FIELDS and value is not None
    }


def _traceback(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[0] is None:
        return ""
    return "".join(traceback.format_exception(*record.exc_info)).rstrip()
