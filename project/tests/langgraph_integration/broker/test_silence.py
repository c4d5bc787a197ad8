"""A broker that does not answer is noticed, although aiokafka says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from kafka_devbroker import running_broker
from langgraph_integration.broker.silence import Silence
from langgraph_integration.config import ConsumerConfig
from langgraph_integration.pipeline.status import liveness, readiness
from tests.langgraph_integration.running import consuming
from tests.support import wait_until


def test_silence_is_counted_from_the_last_answer() -> None:
    """A new answer ends it; partitions that are not fetched, and a pause of the asker, do not count."""
    now = 100.0
    silence = Silence(clock=lambda: now)
    assert silence.seconds([7, None]) == 0
    now += 4
    assert silence.seconds([7, 5]) == 4
    now += 4
    assert silence.seconds([7]) == 8
    assert silence.seconds([9]) == 0, "an answer"
    now += 3
    assert silence.seconds([]) == 0, "nothing is fetched"
    now += 60
    assert silence.seconds([9]) == 0, "nobody asked for a minute"
    now += 3
    assert silence.seconds([9]) == 3


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_silent_broker_pauses_the_intake_until_it_answers(tmp_path: Path) -> None:
    """Readiness names it, liveness does not: a restart would not help."""
    with running_broker() as broker:
        config = ConsumerConfig(
            bootstrap_servers=broker.bootstrap_servers,
            state_url=f"sqlite:{tmp_path / 'state.db'}",
            session_timeout_ms=6000,
            heartbeat_interval_ms=1000,
        )
        async with consuming(config) as consumer:
            await wait_until(lambda: readiness(consumer.status()) == [], 20, "a ready service")

            broker.pause()
            await wait_until(
                lambda: any("no answer to a fetch" in each for each in readiness(consumer.status())),
                30,
                "a service that says that the broker is silent",
            )
            assert liveness(consumer.status()) == []

            broker.resume()
            await wait_until(lambda: readiness(consumer.status()) == [], 40, "a ready service")
