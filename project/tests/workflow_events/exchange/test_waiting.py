"""Who is given what."""

import logging
from concurrent.futures import Future
from uuid import UUID, uuid4

import pytest

from tests.workflow_events.samples import a_result
from workflow_events.codec import encode
from workflow_events.errors import ConfigurationError
from workflow_events.exchange import ReceivedResult, ResultExchange, StartPoint
from workflow_events.exchange.index import Place
from workflow_events.exchange.matching import id_key
from workflow_events.exchange.waiting import Waiter, WaitingRoom
from workflow_events.schema import ResultStatus

OURS = uuid4()


def a_waiter(*, workflow_id: str | None = None, attempt: int | None = None) -> Waiter:
    return Waiter(id_key(OURS), StartPoint.beginning(), workflow_id=workflow_id, attempt=attempt)


def received(status: ResultStatus, attempt: int | None = None, workflow_id: str = "w") -> ReceivedResult:
    event = a_result(OURS, status, attempt=attempt, workflow_id=workflow_id)
    return ReceivedResult(event, event.model_dump(), "results", 0, 0)


def given_to(waiter: Waiter) -> tuple[str, int | None] | None:
    """Status and attempt of what ended the wait. None while it goes on."""
    future: Future[ReceivedResult] = waiter.future
    if not future.done():
        return None
    event = future.result().event
    return event.status, event.attempt


@pytest.mark.parametrize("status", ["success", "failure", "error"])
def test_the_first_verdict_ends_a_wait_when_history_is_known(status: ResultStatus) -> None:
    """Whatever it says."""
    waiter = a_waiter()
    waiter.offer(received(status))

    assert given_to(waiter) == (status, None)


def test_a_retry_does_not_take_the_failure_of_the_try_before() -> None:
    """A success counts whoever asked for it; an error from the asker's attempt on."""
    waiter = a_waiter(attempt=2)
    waiter.offer(received("error", 1))
    waiter.offer(received("failure", None))
    assert given_to(waiter) is None

    waiter.offer(received("error", 2))

    assert given_to(waiter) == ("error", 2)
    early_success = a_waiter(attempt=2)
    early_success.offer(received("success", 1))
    assert given_to(early_success) == ("success", 1)


def test_while_history_is_read_the_best_verdict_is_kept() -> None:
    """A success ends the wait at once, the latest failure when all of history is known."""
    waiter = a_waiter()
    waiter.history_pending()
    waiter.history_pending()
    for attempt in (2, 3, 1):
        waiter.offer(received("error", attempt))
    waiter.history_read()
    assert given_to(waiter) is None

    waiter.history_read()

    assert given_to(waiter) == ("error", 3)
    lucky = a_waiter()
    lucky.history_pending()
    lucky.offer(received("error", 1))
    lucky.offer(received("success", 2))
    assert given_to(lucky) == ("success", 2)


def test_another_workflow_is_passed_over() -> None:
    """The caller said which one it asked."""
    waiter = a_waiter(workflow_id="mine")
    waiter.offer(received("success", workflow_id="other"))
    assert given_to(waiter) is None
    waiter.offer(received("success", workflow_id="mine"))
    assert given_to(waiter) is not None


def test_a_cancelled_wait_takes_nothing_and_disturbs_nobody() -> None:
    """Its asker has gone."""
    waiter = a_waiter()
    waiter.future.cancel()
    waiter.offer(received("success"))
    waiter.fail(RuntimeError("closed"))

    assert waiter.done


def test_everybody_who_waits_for_an_id_is_given_its_result() -> None:
    """And whoever left is not. Whoever was answered is forgotten at once."""
    room = WaitingRoom("results")
    stays, also_stays, leaves = a_waiter(), a_waiter(), a_waiter()
    for waiter in (stays, also_stays, leaves):
        room.add(waiter)
    room.remove(leaves)
    room.remove(leaves)

    room.take(Place(0, 5), id_key(OURS), [], encode(a_result(OURS)), remember=True)

    assert [waiter.done for waiter in (stays, also_stays, leaves)] == [True, True, False]
    assert stays.future.result().offset == 5
    assert len(room) == 0
    assert room.index.places(id_key(OURS)) == (Place(0, 5),)


def test_a_record_of_ours_that_is_no_result_is_skipped_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The wait goes on; records of others are not even parsed."""
    room = WaitingRoom("results")
    waiter = a_waiter()
    room.add(waiter)
    broken = encode(a_result(OURS)).replace(b"success", b"unheard-of")
    with caplog.at_level(logging.WARNING):
        for value in (None, b"not json", b"{}", broken):
            room.take(Place(0, 0), id_key(OURS), [], value, remember=False)
        others = id_key(uuid4())
        room.take(Place(0, 1), others, [("correlation_id", others)], b"broken", remember=False)

    assert not waiter.done
    assert len(caplog.records) == 4
    assert all("skipped a record that is no result" in record.getMessage() for record in caplog.records)


def test_a_record_that_only_quotes_our_id_is_not_ours() -> None:
    """A result may contain the results of others."""
    room = WaitingRoom("results")
    waiter = a_waiter()
    room.add(waiter)

    room.take(Place(0, 0), None, [], encode(a_result(result={"correlation_id": str(OURS)})), remember=False)

    assert not waiter.done


@pytest.mark.parametrize(
    ("event_id", "timeout", "text"),
    [
        ("run-7", 1.0, "correlation_id .* is 'run-7'; expected a UUID"),
        (None, 1.0, "correlation_id .* is None; expected a UUID"),
        (str(UUID(int=7)), -1.0, "timeout is -1.0; expected seconds, 0 or more"),
        (str(UUID(int=7)), float("nan"), "timeout is nan"),
    ],
)
async def test_a_wait_for_nothing_that_can_be_is_refused_before_any_broker_is_asked(
    event_id: str, timeout: float, text: str
) -> None:
    """By the name of what cannot be used; by the poller too, which waits here."""
    with ResultExchange("localhost:1") as exchange:
        with pytest.raises(ConfigurationError, match=text):
            exchange.wait(event_id, timeout)
        with pytest.raises(ConfigurationError, match=text):
            await exchange.wait_async(event_id, timeout)
        assert exchange.waiting == 0
