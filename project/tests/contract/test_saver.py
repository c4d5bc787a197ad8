"""The contract of the saver, on every database: LangGraph's own suite, fences, and what a row may do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver, empty_checkpoint
from langgraph.checkpoint.conformance import checkpointer_test, validate

from langgraph_integration.store import Store
from langgraph_integration.store.commands import CheckpointRow, ListCheckpoints, PutCheckpoint
from langgraph_integration.store.serde import sealed
from tests.contract.asks import ask, granted, verdict
from tests.contract.conftest import Database
from tests.contract.graphs import DeltaLog, Mark, five_steps, thread
from workflow_events.errors import LeaseLost, StateCorrupt


async def test_langgraphs_conformance_suite_passes(database: Database) -> None:
    """Every capability, optional ones included, is there and conforms."""

    @checkpointer_test(name=f"LedgerSaver on {database.url}")
    async def factory() -> AsyncGenerator[BaseCheckpointSaver[Any], None]:
        async with database.open() as store:
            yield store.saver

    report = await validate(factory)
    failures = [failure for result in report.results.values() for failure in result.failures]
    assert failures == []
    assert all(result.passed for result in report.results.values()), report.to_dict()


async def test_a_run_leaves_its_state(database: Database) -> None:
    """After a run another process finds the state, the history and nothing left to do."""
    thread_id = uuid4()
    async with database.open() as store:
        await five_steps(store.saver).ainvoke({"log": []}, thread(thread_id), durability="sync")
    async with database.open() as store:
        graph = five_steps(store.saver)
        state = await graph.aget_state(thread(thread_id))
        history = [snapshot.next async for snapshot in graph.aget_state_history(thread(thread_id))]
    assert (state.values, state.next) == ({"log": list("abcde")}, ())
    assert history == [(), ("e",), ("d",), ("c",), ("b",), ("a",), ("__start__",)]


async def test_a_run_that_failed_goes_on_where_it_was(database: Database) -> None:
    """Finished steps do not run again when another process resumes the thread."""
    thread_id, ran = uuid4(), list[str]()

    async def fail_once_at_c(step: str) -> None:
        ran.append(step)
        if step == "c" and ran.count("c") == 1:
            raise ConnectionError("the first time")

    async with database.open() as store:
        with pytest.raises(ConnectionError):
            await five_steps(store.saver, fail_once_at_c).ainvoke({"log": []}, thread(thread_id))
    async with database.open() as store:
        graph = five_steps(store.saver, fail_once_at_c)
        assert (await graph.ainvoke(None, thread(thread_id)))["log"] == list("abcde")
    assert ran == list("abccde")


async def test_channels_stored_as_differences_are_rebuilt(database: Database) -> None:
    """A value that no checkpoint holds whole comes from the writes of its ancestors, also after a prune."""
    thread_id, ran = uuid4(), list[str]()

    async def fail_once_at_e(step: str) -> None:
        ran.append(step)
        if step == "e" and ran.count("e") == 1:
            raise ConnectionError("the first time")

    async with database.open() as store:
        graph = five_steps(store.saver, fail_once_at_e, DeltaLog)
        with pytest.raises(ConnectionError):
            await graph.ainvoke({"log": ["in"]}, thread(thread_id), durability="sync")
    async with database.open() as store:
        graph = five_steps(store.saver, fail_once_at_e, DeltaLog)
        await store.saver.aprune([str(thread_id)])
        assert (await graph.aget_state(thread(thread_id))).values["log"] == ["in", *"abcd"]
        assert (await graph.ainvoke(None, thread(thread_id)))["log"] == ["in", *"abcde"]


async def test_the_lease_epoch_reaches_every_row(database: Database) -> None:
    """LangGraph hands our key of the config through to the saver, for checkpoints and pending writes."""
    wanted = ask()
    async with database.open() as store:
        lease = (await granted(store, wanted)).lease
        config = thread(wanted.event_id, lease.epoch)
        await five_steps(store.saver).ainvoke({"log": []}, config, durability="sync")
        rows = await _rows(store, str(wanted.event_id))
    assert len(rows) == 7
    assert {row.epoch for row, _ in rows} == {1}
    assert {write.epoch for _, writes in rows for write in writes} == {1}
    assert sum(len(writes) for _, writes in rows) > 7


async def test_a_zombie_writes_nothing(database: Database) -> None:
    """A run whose lease was taken over stops at its next write, and no row of it lands any more."""
    wanted, reached, go_on = ask(), asyncio.Event(), asyncio.Event()

    async def stall_at_c(step: str) -> None:
        if step == "c":
            reached.set()
            await go_on.wait()

    async with database.open("a", timedelta(0)) as first, database.open("b") as second:
        old = (await granted(first, wanted)).lease
        zombie = asyncio.create_task(
            five_steps(first.saver, stall_at_c).ainvoke(
                {"log": []}, thread(wanted.event_id, old.epoch), durability="sync"
            )
        )
        await reached.wait()
        new = (await granted(second, wanted)).lease
        before = await _rows(second, str(wanted.event_id))
        go_on.set()
        with pytest.raises(LeaseLost):
            await zombie
        assert await _rows(second, str(wanted.event_id)) == before
        config = thread(wanted.event_id, new.epoch)
        state = await five_steps(second.saver).ainvoke(None, config, durability="sync")
    assert state["log"] == list("abcde")


async def test_writes_for_a_run_that_was_released_are_refused(database: Database) -> None:
    """After a release the next owner may be at work already."""
    wanted = ask()
    async with database.open() as store:
        lease = (await granted(store, wanted)).lease
        await store.ledger.release(lease)
        with pytest.raises(LeaseLost):
            await store.saver.aput(
                _config(wanted.event_id, lease_epoch=lease.epoch), empty_checkpoint(), {}, {}
            )


async def test_a_refused_write_does_not_spoil_its_neighbours(database: Database) -> None:
    """Of writes made at the same time only the fenced ones fail."""
    wanted, thread_ids = ask(), [str(uuid4()) for _ in range(20)]
    async with database.open() as store:
        await granted(store, wanted)
        puts = [store.saver.aput(_config(thread_id), empty_checkpoint(), {}, {}) for thread_id in thread_ids]
        stale = store.saver.aput(_config(wanted.event_id, lease_epoch=9), empty_checkpoint(), {}, {})
        outcomes = await asyncio.gather(*puts[:10], stale, *puts[10:], return_exceptions=True)
        found = [await store.saver.aget_tuple(_config(thread_id)) for thread_id in thread_ids]
    assert [type(outcome) for outcome in outcomes].count(LeaseLost) == 1
    assert isinstance(outcomes[10], LeaseLost)
    assert None not in found


async def test_a_new_runs_first_look_costs_no_query(database: Database) -> None:
    """A thread granted for the first time is known to be empty, until its first write."""
    wanted = ask()
    async with database.open() as store:
        grant = await granted(store, wanted)
        await store.saver.aput(_config("hidden"), empty_checkpoint(), {}, {})
        assert store.saver.spared_lookups == 0
        assert await store.saver.aget_tuple(_config(wanted.event_id)) is None
        assert store.saver.spared_lookups == 1
        config = _config(wanted.event_id, lease_epoch=grant.lease.epoch)
        await store.saver.aput(config, empty_checkpoint(), {}, {})
        assert await store.saver.aget_tuple(_config(wanted.event_id)) is not None
        assert store.saver.spared_lookups == 1


async def test_sync_calls_work_from_any_thread(database: Database) -> None:
    """`invoke` in a thread of its own uses the same store while its loop goes on."""
    thread_id = uuid4()
    async with database.open() as store:
        config = _config(thread_id)

        def work() -> None:
            pointer = store.saver.put(config, empty_checkpoint(), {"step": 1}, {})
            store.saver.put_writes(pointer, [("log", "x")], "task")

        await asyncio.to_thread(work)
        found = await asyncio.to_thread(store.saver.get_tuple, config)
        listed = await asyncio.to_thread(lambda: list(store.saver.list(config)))
        assert found is not None
        assert found.pending_writes == [("task", "log", "x")]
        assert [item.metadata for item in listed] == [{"step": 1}]
        await asyncio.to_thread(store.saver.delete_thread, str(thread_id))
        assert await store.saver.aget_tuple(config) is None


async def test_another_event_loop_may_use_the_store(database: Database) -> None:
    """Kafka's loop and the graphs' loop share one store."""
    wanted = ask()
    async with database.open() as store:
        other = threading.Thread(target=lambda: asyncio.run(_claim_and_finish(store, wanted)))
        other.start()
        await asyncio.to_thread(other.join)
        assert wanted.event_id in await store.ledger.verdicts([wanted.event_id])


async def test_pages_of_a_long_listing_join_without_a_seam(database: Database) -> None:
    """More checkpoints than one page come newest first, each once, also over namespaces and with a limit."""
    async with database.open() as store:
        saver = store.saver
        ids = []
        for number in range(130):
            checkpoint = empty_checkpoint()
            ids.append(checkpoint["id"])
            config = _config("long", checkpoint_ns="child" if number % 2 else "")
            await saver.aput(config, checkpoint, {"step": number}, {})
        found = [item.checkpoint["id"] async for item in saver.alist({"configurable": {"thread_id": "long"}})]
        first = [item async for item in saver.alist(None, filter={"step": 3}, limit=5)]
        none = [item async for item in saver.alist(None, limit=0)]
    assert found == ids[::-1]
    assert [item.checkpoint["id"] for item in first] == [ids[3]]
    assert none == []


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("msgpack", b"\x93\x01"),
        ("msgpack", b"\x01"),
        ("msgpack", b"\x92\x80\x80"),
        ("pickle", b"cposix\nsystem\n(S'true'\ntR."),
        ("json", b'{"lc": 2, "type": "constructor", "id": ["os", "system"], "args": ["true"]}'),
    ],
)
async def test_a_damaged_row_is_a_clear_error(database: Database, kind: str, state: bytes) -> None:
    """Bytes that are no checkpoint raise `StateCorrupt`, on which an event can be given up."""
    async with database.open() as store:
        await _plant(store, kind, state)
        with pytest.raises(StateCorrupt):
            await store.saver.aget_tuple(_config("planted"))


async def test_a_flipped_bit_is_noticed(database: Database) -> None:
    """Wherever it is: msgpack would read most of them as another state."""
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = {"path": ["a", "b"], "total": 12}
    async with database.open() as store:
        await store.saver.aput(_config("kept"), checkpoint, {}, {})
        (stored,) = await _rows(store, "kept")
        row = stored.row
        for bit in range(0, len(row.state) * 8, 7):
            state = bytearray(row.state)
            state[bit // 8] ^= 1 << bit % 8
            with pytest.raises(StateCorrupt):
                store.saver.serde.loads_typed((row.kind, bytes(state)))
        assert store.saver.serde.loads_typed((row.kind, row.state))[0]["channel_values"]["total"] == 12


async def test_a_hostile_row_runs_nothing(database: Database, tmp_path: Any) -> None:
    """A type outside LangGraph's safe list is refused by name instead of being called."""
    victim = tmp_path / "victim"
    async with database.open() as store:
        await _plant(store, "msgpack", _calling("os", "mkdir", str(victim)))
        with pytest.raises(StateCorrupt, match=r"os\.mkdir"):
            await store.saver.aget_tuple(_config("planted"))
    assert not victim.exists()


async def test_a_type_that_the_graph_declares_is_read(database: Database) -> None:
    """`with_allowlist` opens the serializer for a graph's own types, on the same store."""
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = {"mark": Mark(timedelta(1))}
    async with database.open() as store:
        clone = store.saver.with_allowlist([(Mark.__module__, Mark.__name__)])
        await store.saver.aput(_config("declared"), checkpoint, {}, {})
        found = await clone.aget_tuple(_config("declared"))
        with pytest.raises(StateCorrupt, match="Mark"):
            await store.saver.aget_tuple(_config("declared"))
    assert found is not None
    assert found.checkpoint["channel_values"] == {"mark": Mark(timedelta(1))}


async def _claim_and_finish(store: Store, wanted: Any) -> None:
    grant = await granted(store, wanted)
    await store.ledger.finish(grant.lease, verdict())


async def _rows(store: Store, thread_id: str) -> Any:
    query = ListCheckpoints(thread_id, None, None, None, None, 100)
    return await store._backend.run(query)


async def _plant(store: Store, kind: str, state: bytes) -> None:
    """A row whose checksum is right."""
    stored = sealed(kind, state)
    row = CheckpointRow("planted", "", empty_checkpoint()["id"], None, None, None, kind, stored)
    await store._backend.run(PutCheckpoint(row))


def _config(thread_id: object, **more: object) -> Any:
    return {"configurable": {"thread_id": str(thread_id), "checkpoint_ns": "", **more}}


def _calling(module: str, name: str, argument: str) -> bytes:
    """A checkpoint whose decoding would call a function, were it allowed to."""
    import ormsgpack

    call = ormsgpack.Ext(0, ormsgpack.packb((module, name, argument)))
    checkpoint = dict(empty_checkpoint()) | {"channel_values": {"x": call}}
    return ormsgpack.packb((checkpoint, {}))
