"""What is kept how long, on every database."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

from langgraph_integration.pipeline.ledger import Granted, Settled
from langgraph_integration.store import Retention, Store, SweepReport
from tests.contract.asks import ask, granted, is_a, verdict
from tests.contract.conftest import Database
from tests.contract.graphs import five_steps, thread

NOW = timedelta(0)
LATER = timedelta(hours=1)


async def test_state_of_finished_runs_goes_before_their_verdicts(database: Database) -> None:
    """A finished run loses its checkpoints first and still answers; then it goes altogether."""
    async with database.open() as store:
        event_id = await _finished(store)
        await store.gc(Retention(runs=LATER, checkpoints=NOW))
        assert await store.saver.aget_tuple(thread(event_id)) is None  # type: ignore[arg-type] # a plain dict
        assert event_id in await store.ledger.verdicts([event_id])
        report = await store.gc(Retention(runs=NOW, checkpoints=NOW))
        assert report == SweepReport(runs=1, checkpoints=0, writes=0, dry_run=False)
        assert await store.ledger.verdicts([event_id]) == {}


async def test_a_dry_run_counts_what_a_sweep_deletes(database: Database) -> None:
    """The figures of both are the same, and only one deletes."""
    retention = Retention(runs=NOW, checkpoints=NOW)
    async with database.open() as store:
        for _ in range(3):
            await _finished(store)
        foretold = await store.gc(retention, dry_run=True)
        done = await store.gc(retention)
        nothing = await store.gc(retention, dry_run=True)
    assert (foretold.runs, foretold.checkpoints) == (3, 21)
    assert foretold.writes > 21
    assert done == SweepReport(foretold.runs, foretold.checkpoints, foretold.writes, dry_run=False)
    assert nothing == SweepReport(0, 0, 0, dry_run=True)


async def test_what_is_young_or_under_way_or_unpublished_stays(database: Database) -> None:
    """No sweep touches a run that is not finished, or a verdict that nobody has sent."""
    async with database.open() as store:
        young = await _finished(store)
        assert (await store.gc()) == SweepReport(0, 0, 0, dry_run=False)
        live = ask()
        lease = (await granted(store, live)).lease
        config = thread(live.event_id, lease.epoch)
        await five_steps(store.saver).ainvoke({"log": []}, config)
        unsent = await _finished(store, published=False)
        await store.gc(Retention(runs=NOW, checkpoints=NOW))
        state = await five_steps(store.saver).aget_state(config)
        assert await store.ledger.verdicts([young, unsent]) == {unsent: verdict("error")}
        assert state.values["log"] == list("abcde")


async def test_a_swept_run_that_is_asked_for_again_leaves_state_again(database: Database) -> None:
    """Sweeping marks a run as stateless only until it runs again."""
    retention = Retention(runs=LATER, checkpoints=NOW)
    async with database.open() as store:
        event_id = await _finished(store)
        await store.gc(retention)
        again = is_a(Granted, await store.ledger.claim(ask(event_id, offset=1, attempt=2)))
        await five_steps(store.saver).ainvoke({"log": []}, thread(event_id, again.lease.epoch))
        await store.ledger.finish(again.lease, verdict(attempt=2))
        assert (await store.gc(retention)).checkpoints == 7
        is_a(Settled, await store.ledger.claim(ask(event_id, offset=1, attempt=2)))


async def test_checkpoints_of_threads_without_a_run_are_not_ours_to_delete(database: Database) -> None:
    """The saver may be used without the service; such threads are swept by nobody."""
    thread_id = uuid4()
    async with database.open() as store:
        await five_steps(store.saver).ainvoke({"log": []}, thread(thread_id))
        await store.gc(Retention(runs=NOW, checkpoints=NOW))
        state = await five_steps(store.saver).aget_state(thread(thread_id))
    assert state.values["log"] == list("abcde")


async def _finished(store: Store, *, published: bool = True) -> UUID:
    """A run of seven checkpoints that ended with an error."""
    wanted = ask()
    lease = (await granted(store, wanted)).lease
    config = thread(wanted.event_id, lease.epoch)
    await five_steps(store.saver).ainvoke({"log": []}, config, durability="sync")
    await store.ledger.finish(lease, verdict("error"))
    if published:
        await store.ledger.mark_published(lease, 1)
    return wanted.event_id
