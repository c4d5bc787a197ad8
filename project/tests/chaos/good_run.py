"""A run without a fault of ours, in small: what every spoil begins with."""

from __future__ import annotations

from dataclasses import replace

from tests.chaos.evidence import Answer, Ask, Evidence, Letter, Process, Sample, Settled, Size, Step

GOOD, BAD, DEADLY = "good", "bad", "deadly"
"""Event ids: one that succeeds, one that ends as an error, one whose first worker was killed in node b."""


def answer(event_id: str, at: float, status: str = "success", attempt: int = 1) -> Answer:
    path = ("a", "b", "c") if status != "error" else ()
    tokens = tuple(token(event_id) for _ in path)
    result_id, digest = f"{event_id}/{attempt}/{status}", f"{event_id}-{attempt}"
    return Answer(event_id, attempt, status, result_id, digest, at, path, tokens=tokens)


def token(event_id: str) -> str:
    return f"token-{event_id}"


def letter(event_id: str, at: float, offset: int, reason: str = "permanent") -> Letter:
    return Letter(f"dlq-{event_id}", event_id, 1, reason, 0, offset, f"letter-{event_id}", at)


def steps(event_id: str, pid: int, at: float, nodes: str = "abc", epoch: int = 1) -> list[Step]:
    times = [at + index / 10 for index in range(2 * len(nodes))]
    return [
        Step(event_id, node, what, epoch, pid, times[2 * index + (what == "end")])
        for index, node in enumerate(nodes)
        for what in ("start", "end")
    ]


def sizes(since: float, until: float) -> list[Size]:
    """Of w2, as often as a worker notes its size."""
    times = [since + index / 2 for index in range(int(2 * (until - since)) + 1)]
    return [Size(2, at, 9, 2**27) for at in times]


def good_run() -> Evidence:
    """Three events, a conflict, a line of garbage and a second attempt; one worker killed at 102.25."""
    cut = [*steps(DEADLY, 1, 102.0, "ab")[:3]]
    return Evidence(
        asks=[
            Ask("first", GOOD, 1, 0, 0, 100.0, "good", token=token(GOOD)),
            Ask("first", BAD, 1, 0, 1, 100.1, "broken", token=token(BAD)),
            Ask("first", DEADLY, 1, 0, 2, 100.2, "good", token=token(DEADLY)),
            Ask("conflict", GOOD, 1, 0, 3, 100.3, "good", token=token("other payload")),
            Ask("garbage", None, 1, 0, 4, 100.4),
            Ask("raised", BAD, 2, 0, 5, 101.5, "broken", token=token(BAD)),
        ],
        acknowledged={(0, offset) for offset in range(6)},
        answers=[
            answer(GOOD, 101.0),
            answer(BAD, 101.1, "error"),
            answer(DEADLY, 106.0),
            answer(BAD, 106.5, "error", attempt=2),
        ],
        letters=[
            letter(BAD, 101.1, 1),
            replace(letter(GOOD, 101.2, 3, "conflict"), dlq_id="dlq-at-3"),
            replace(letter(GOOD, 101.3, 4, "invalid"), event_id=None, dlq_id="dlq-at-4"),
            replace(letter(BAD, 106.4, 5), attempt=2, dlq_id="dlq-at-5"),
        ],
        steps=[
            *steps(GOOD, 1, 100.2),
            *steps(BAD, 1, 100.3, "a")[:1],
            Step(BAD, "a", "raise", 1, 1, 100.4),
            *cut,
            *steps(DEADLY, 2, 105.0, "bc", epoch=2),
            Step(BAD, "a", "start", 2, 2, 106.3),
            Step(BAD, "a", "raise", 2, 2, 106.35),
        ],
        settled=[
            Settled(GOOD, 1, 1, 101.01),
            Settled(BAD, 1, 1, 101.11),
            Settled(DEADLY, 1, 2, 106.01),
            Settled(BAD, 2, 2, 106.51),
        ],
        processes=[
            Process("w1", 1, 99.0, 102.25, -9),
            Process("w2", 2, 103.0, 110.0, 0, asked_at=109.9, at_rest=True),
        ],
        samples=[
            Sample(100.5, {0: 0}, {0: 5}),
            Sample(101.5, {0: 2}, {0: 5}),
            Sample(106.2, {0: 5}, {0: 6}),
            Sample(107.0, {0: 6}, {0: 6}),
        ],
        sizes=[Size(1, 100.0, 8, 2**27), *sizes(104.0, 109.5)],
    )
