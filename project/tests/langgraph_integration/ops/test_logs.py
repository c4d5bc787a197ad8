"""What the service writes to its log, and what never appears there."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from langgraph_integration.ops.logs import (
    HIDDEN,
    HumanLines,
    JsonLines,
    NowAndThen,
    Redactor,
    configure_logging,
)
from langgraph_integration.ops.settings import LogSettings
from workflow_events.errors import ConfigurationError


def record(message: str = "event settled", *args: object, **extra: Any) -> logging.LogRecord:
    """A record as one of our loggers makes it."""
    return logging.getLogger("langgraph_integration.test").makeRecord(
        "langgraph_integration.test", logging.INFO, __file__, 1, message, args, None, extra=extra
    )


def as_json(line: logging.LogRecord, *secrets: str) -> dict[str, Any]:
    """The record as the JSON format has it."""
    parsed: dict[str, Any] = json.loads(JsonLines(Redactor(secrets)).format(line))
    return parsed


def test_a_record_is_one_line_of_json_with_its_fields() -> None:
    """A log store finds an event by its id without parsing texts."""
    line = JsonLines(Redactor()).format(
        record("event %s", "settled", action="settled", event_id="abc", attempt=2)
    )

    assert "\n" not in line
    parsed = json.loads(line)
    assert parsed["message"] == "event settled"
    assert (parsed["action"], parsed["event_id"], parsed["attempt"]) == ("settled", "abc", 2)
    assert (parsed["level"], parsed["logger"]) == ("info", "langgraph_integration.test")
    assert parsed["time"].endswith("+00:00")


def test_a_traceback_stays_in_its_line() -> None:
    """Otherwise a log store makes forty events of it."""
    line = record("handler failed")
    try:
        raise ValueError("broken")
    except ValueError as error:
        line.exc_info = (ValueError, error, error.__traceback__)

    text = JsonLines(Redactor()).format(line)

    assert "\n" not in text
    assert json.loads(text)["error"].endswith("ValueError: broken")


def test_values_that_json_does_not_know_become_texts() -> None:
    """A log call must never fail for its fields."""
    assert as_json(record(action="x", what=ValueError("odd")))["what"] == "odd"


def test_fields_are_found_wherever_a_record_keeps_them() -> None:
    """A maker of records (`logging.setLogRecordFactory`) may set its own before the standard ones."""

    class Tagged(logging.LogRecord):
        def __init__(self, *args: Any) -> None:
            self.region = "eu"
            super().__init__(*args)

    line = Tagged("some.logger", logging.INFO, __file__, 1, "started", (), None)
    line.zone, line.action, line.nothing = "b", "started", None

    fields = list(as_json(line).items())
    assert fields[4:] == [("region", "eu"), ("zone", "b"), ("action", "started")]


def test_a_line_for_people_has_time_level_message_and_fields() -> None:
    """In this order, on one line."""
    line = HumanLines(Redactor()).format(record("started", action="started", group_id="g"))

    assert line[2] == line[5] == ":"
    assert line[9:] == "INFO    started  action=started group_id=g"


@pytest.mark.parametrize("form", [JsonLines, HumanLines])
def test_known_secrets_appear_nowhere(form: type[JsonLines | HumanLines]) -> None:
    """Not in the message, not in a field, not in a traceback."""
    line = record("login as app with %s failed", "hunter22", action="login", detail="tried hunter22")
    try:
        raise ConnectionError("refused for hunter22")
    except ConnectionError as error:
        line.exc_info = (ConnectionError, error, error.__traceback__)

    text = form(Redactor(["hunter22", None, ""])).format(line)

    assert "hunter22" not in text
    assert text.count(HIDDEN) >= 3


def test_passwords_in_urls_are_hidden_although_nobody_named_them() -> None:
    """A database driver puts its URL into its errors."""
    assert Redactor().text("cannot reach postgresql://app:s3cret@db:5432/agents") == (
        f"cannot reach postgresql://app:{HIDDEN}@db:5432/agents"
    )


@pytest.mark.parametrize("name", ["password", "sasl_password", "api_key", "Authorization", "access_token"])
def test_fields_that_are_secret_by_name_are_hidden(name: str) -> None:
    """Whatever their value is."""
    assert as_json(record(**{name: "x"}))[name] == HIDDEN


def test_short_secrets_do_not_blank_out_the_text() -> None:
    """A password of "a" would hide every a."""
    assert Redactor(["a"]).text("a small thing") == "a small thing"


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    root = logging.getLogger()
    names = ("aiokafka", "uvicorn", "httpx", "asyncio")
    before = root.handlers[:], root.level, {name: logging.getLogger(name).level for name in names}
    yield root
    root.handlers[:], level, levels = before
    root.setLevel(level)
    for name, each in levels.items():
        logging.getLogger(name).setLevel(each)


def test_all_loggers_write_in_the_chosen_format(root_logger: logging.Logger) -> None:
    """Also those of libraries."""
    stream = io.StringIO()
    configure_logging(LogSettings("json", "INFO"), stream=stream)
    logging.getLogger("some.library").warning("careful")
    logging.getLogger("some.library").debug("chatter")

    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["careful"]
    assert len(root_logger.handlers) == 1


def test_a_library_that_repeats_itself_is_heard_now_and_then() -> None:
    """While a broker is away aiokafka says so sixty times a second; ours are never left out."""
    now = 100.0
    once = NowAndThen("aiokafka", clock=lambda: now)

    def passes(logger: str, message: str, *args: object) -> bool:
        return once.filter(logging.getLogger(logger).makeRecord(logger, 40, __file__, 1, message, args, None))

    assert passes("aiokafka.client", "node %s is away", 1)
    assert not passes("aiokafka.client", "node %s is away", 2)
    assert passes("aiokafka.client", "no metadata")
    assert passes("langgraph_integration.consumer", "node %s is away", 1)
    assert passes("langgraph_integration.consumer", "node %s is away", 1)
    now = 110.0
    assert passes("aiokafka.client", "node %s is away", 1)


def test_without_a_terminal_logs_are_json() -> None:
    """Containers and pipes are read by programs. (pytest captures stderr, which is no terminal.)"""
    assert LogSettings.from_env() == LogSettings("json", "INFO")


def test_format_and_level_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Case does not matter for the level."""
    monkeypatch.setenv("WORKFLOW_LOG_FORMAT", "human")
    monkeypatch.setenv("WORKFLOW_LOG_LEVEL", "debug")

    assert LogSettings.from_env() == LogSettings("human", "DEBUG")


@pytest.mark.parametrize(("name", "value"), [("WORKFLOW_LOG_FORMAT", "xml"), ("WORKFLOW_LOG_LEVEL", "loud")])
def test_an_unknown_format_or_level_is_refused(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the variable and what it takes."""
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match=f"{name} is .*use "):
        LogSettings.from_env()
