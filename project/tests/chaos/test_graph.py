"""The graph of the programme: what its nodes raise is taken for what it is meant to be."""

from __future__ import annotations

import json
from itertools import islice
from typing import get_args

from langgraph_integration.pipeline.attempts import PERSISTED_WAIT_S
from langgraph_integration.retry import RetryConfig, is_transient_error, wait_before_retry
from tests.chaos.graph import TooManyRequests
from tests.chaos.recipes import WAIT_S, Kind, planned, token_of


def test_a_node_that_is_told_to_wait_waits_long_enough_to_have_it_written_down() -> None:
    """Shorter waits die with their process, and would prove nothing."""
    error = TooManyRequests()

    assert is_transient_error(error)
    assert wait_before_retry(RetryConfig(), 0, error) == WAIT_S >= PERSISTED_WAIT_S


def test_each_kind_of_run_is_among_the_records() -> None:
    """Those that take long are few."""
    kinds = [each.kind for each in islice(planned(7), 20_000) if each.role == "first"]

    assert 0.005 < kinds.count("told-to-wait") / len(kinds) < 0.012
    assert set(kinds) == set(get_args(Kind))


def test_the_token_tells_every_payload_from_every_other() -> None:
    """Also the two of one event; an ask that is repeated has that of the first."""
    payloads: dict[str, set[str]] = {}
    for each in islice(planned(7), 2_000):
        if each.kind is not None:
            data = json.loads(each.value)["payload"]["data"]
            payloads.setdefault(token_of(str(each.event_id), data), set()).add(
                f"{each.event_id} {data.get('other')}"
            )

    assert len(payloads) > 1_000
    assert all(len(found) == 1 for found in payloads.values())
    assert len(set.union(*payloads.values())) == len(payloads)
