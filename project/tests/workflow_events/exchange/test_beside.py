"""A question asked beside the reading: it holds nobody up, and is answered once."""

from __future__ import annotations

import threading

import pytest

from workflow_events.exchange.beside import AskedBeside


def test_the_owner_goes_on_while_the_question_is_under_way() -> None:
    """There is no answer yet, asking again asks nothing, and the answer is there once."""
    answered = threading.Event()
    asked: list[int] = []

    def ask() -> list[int]:
        asked.append(1)
        answered.wait(30)
        return [0, 1, 2]

    beside = AskedBeside(ask, "asking")
    beside.begin()
    beside.begin()
    assert beside.take() is None

    answered.set()
    beside.wait()
    assert beside.take() == [0, 1, 2]
    assert beside.take() is None
    assert len(asked) == 1


def test_what_asking_raised_is_raised_where_the_answer_is_taken() -> None:
    """And the next question is asked anew."""
    answers: list[object] = ["fine", OSError("no broker")]

    def ask() -> object:
        answer = answers.pop()
        if isinstance(answer, OSError):
            raise answer
        return answer

    beside = AskedBeside(ask, "asking")
    beside.begin()
    beside.wait()
    with pytest.raises(OSError, match="no broker"):
        beside.take()

    beside.begin()
    beside.wait()
    assert beside.take() == "fine"
