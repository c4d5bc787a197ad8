"""What an ask is owed: a verdict that is sent after it, or its refusal if it brought another payload."""

from __future__ import annotations

from collections.abc import Iterable

from tests.chaos.evidence import Answer, Ask, Letter

STAMPS_S = 0.002
"""Brokers of one machine stamped both records, in whole milliseconds: an answer is not older than its ask."""


def answers_to(ask: Ask, answers: Iterable[Answer]) -> list[Answer]:
    """The verdicts that answer it: of no smaller attempt, unless it is a success, and none from before it.

    An ask that met the live run is answered by that run's one verdict, which comes after it too; one that
    came later has the verdict published again.
    """
    return [
        answer for answer in answers if answer.time >= ask.time - STAMPS_S and is_verdict_for(ask, answer)
    ]


def is_verdict_for(ask: Ask, answer: Answer) -> bool:
    """Whether it would do, were it sent after the ask."""
    return answer.attempt >= ask.attempt or answer.status == "success"


def refusals(asks: Iterable[Ask], letters: Iterable[Letter]) -> dict[tuple[int, int], list[Letter]]:
    """By position, the dead letters of those of the asks that were refused as conflicts."""
    places = {(ask.partition, ask.offset) for ask in asks}
    found: dict[tuple[int, int], list[Letter]] = {}
    for letter in letters:
        if letter.reason == "conflict" and (letter.partition, letter.offset) in places:
            found.setdefault((letter.partition, letter.offset), []).append(letter)
    return found
