"""LangGraph's checkpoint saver over any backend: fenced by the lease, batched by the group commit."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
)

from langgraph_integration.pipeline.run_context import current_run
from langgraph_integration.store import commands as c
from langgraph_integration.store.backend import Backend
from langgraph_integration.store.checkpoint_codec import LEASE_EPOCH, CheckpointCodec
from langgraph_integration.store.pruning import superseded
from langgraph_integration.store.serde import StrictSerializer
from workflow_events.errors import StoreUnavailable

PAGE = 100
"""Checkpoints fetched at a time when listing: bounds memory, and one transaction's length."""


class LedgerSaver(BaseCheckpointSaver[int]):
    """Every write whose config carries `configurable["lease_epoch"]` happens only while that epoch owns the
    run named by the thread id, else it raises `LeaseLost`. Without the key writes are not fenced.

    Used by all runs of a process at once. Async calls return after the commit and may come from any event
    loop; sync calls block their thread until then. Damaged rows raise `StateCorrupt`, database faults
    `StoreUnavailable`, but the async calls that a run makes wait them out (`RunContext.wait_out`). Clones
    made by `with_allowlist` share everything but the serializer.
    """

    def __init__(self, backend: Backend) -> None:
        super().__init__(serde=StrictSerializer())
        self._backend = backend
        self._fresh: set[str] = set()
        self.spared_lookups = 0

    def expect_nothing(self, thread_id: str) -> None:
        """Spare the look-up before the first step of a thread that was just made."""
        self._fresh.add(thread_id)

    def forget(self, thread_id: str) -> None:
        """Look the thread up from now on."""
        self._fresh.discard(thread_id)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        query = self._load(config)
        stored = None if query is None else await self._through_outage(query)
        return None if stored is None else self._codec.decode(stored)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        listing = _Listing(self._codec, config, filter, before, limit)
        while (query := listing.next_page()) is not None:
            for found in listing.accept(await self._backend.run(query)):
                yield found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        command = self._put(config, checkpoint, metadata)
        await self._through_outage(command)
        return _pointer(command.row)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        command = self._put_writes(config, writes, task_id, task_path)
        if command is not None:
            await self._through_outage(command)

    async def adelete_thread(self, thread_id: str) -> None:
        await self._backend.run(c.DeleteThreads((thread_id,)))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        await self._backend.run(c.DeleteForRuns(tuple(run_ids)))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        self.forget(target_thread_id)
        await self._backend.run(c.CopyThread(source_thread_id, target_thread_id))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        if strategy == "delete":
            await self._backend.run(c.DeleteThreads(tuple(thread_ids)))
            return
        for thread_id in thread_ids:
            found = [item async for item in self.alist({"configurable": {"thread_id": thread_id}})]
            await self._backend.run(c.DeleteCheckpoints(superseded(found, strategy)))

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        query = self._load(config)
        stored = None if query is None else self._backend.run_blocking(query)
        return None if stored is None else self._codec.decode(stored)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        listing = _Listing(self._codec, config, filter, before, limit)
        while (query := listing.next_page()) is not None:
            yield from listing.accept(self._backend.run_blocking(query))

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        command = self._put(config, checkpoint, metadata)
        self._backend.run_blocking(command)
        return _pointer(command.row)

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        command = self._put_writes(config, writes, task_id, task_path)
        if command is not None:
            self._backend.run_blocking(command)

    def delete_thread(self, thread_id: str) -> None:
        self._backend.run_blocking(c.DeleteThreads((thread_id,)))

    def get_next_version(self, current: int | None, channel: None) -> int:
        """Plain numbers: values live inside their checkpoint, so versions need not be unique over forks."""
        return 1 if current is None else current + 1

    async def _through_outage(self, command: c.Command[c.T]) -> c.T:
        """The answer. A run of the service waits for it, or a node that has finished would run again."""
        try:
            return await self._backend.run(command)
        except StoreUnavailable:
            run = current_run.get()
            if run is None:
                raise
            return await run.wait_out(lambda: self._backend.run(command))

    @property
    def _codec(self) -> CheckpointCodec:
        return CheckpointCodec(self.serde)

    def _load(self, config: RunnableConfig) -> c.LoadCheckpoint | None:
        conf = config["configurable"]
        if conf["thread_id"] in self._fresh:
            self.spared_lookups += 1
            return None
        return c.LoadCheckpoint(
            str(conf["thread_id"]), conf.get("checkpoint_ns", ""), get_checkpoint_id(config)
        )

    def _put(
        self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata
    ) -> c.PutCheckpoint:
        row = self._codec.encode(config, checkpoint, metadata)
        self._fresh.discard(row.thread_id)
        return c.PutCheckpoint(row)

    def _put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
    ) -> c.PutWrites | None:
        conf = config["configurable"]
        rows = [
            c.WriteRow(
                str(conf["thread_id"]),
                conf.get("checkpoint_ns", ""),
                conf["checkpoint_id"],
                task_id,
                WRITES_IDX_MAP.get(channel, index),
                task_path,
                channel,
                conf.get(LEASE_EPOCH),
                *self.serde.dumps_typed(value),
            )
            for index, (channel, value) in enumerate(writes)
        ]
        return c.PutWrites(rows) if rows else None


class _Listing:
    """One `list` call: which page to ask for next, and what of it the caller gets."""

    def __init__(
        self,
        codec: CheckpointCodec,
        config: RunnableConfig | None,
        filter_: dict[str, Any] | None,
        before: RunnableConfig | None,
        limit: int | None,
    ) -> None:
        conf = config["configurable"] if config else {}
        self._codec = codec
        self._filter = filter_ or {}
        self._left = limit
        self._query: c.ListCheckpoints | None = c.ListCheckpoints(
            thread_id=str(conf["thread_id"]) if "thread_id" in conf else None,
            checkpoint_ns=conf.get("checkpoint_ns"),
            checkpoint_id=get_checkpoint_id(config) if config else None,
            before=get_checkpoint_id(before) if before else None,
            after_page=None,
            page_size=PAGE if limit is None or self._filter else max(0, min(PAGE, limit)),
        )

    def next_page(self) -> c.ListCheckpoints | None:
        return None if self._left is not None and self._left <= 0 else self._query

    def accept(self, page: Sequence[c.StoredCheckpoint]) -> Iterator[CheckpointTuple]:
        query = cast(c.ListCheckpoints, self._query)
        self._query = None
        if len(page) == query.page_size:
            last = page[-1].row
            mark = c.PageMark(last.checkpoint_id, last.thread_id, last.checkpoint_ns)
            self._query = c.ListCheckpoints(
                query.thread_id, query.checkpoint_ns, query.checkpoint_id, query.before, mark, query.page_size
            )
        for stored in page:
            found = self._codec.decode(stored)
            if any(found.metadata.get(key) != value for key, value in self._filter.items()):
                continue
            if self._left is not None:
                if self._left <= 0:
                    return
                self._left -= 1
            yield found


def _pointer(row: c.CheckpointRow) -> RunnableConfig:
    return {
        "configurable": {
            "thread_id": row.thread_id,
            "checkpoint_ns": row.checkpoint_ns,
            "checkpoint_id": row.checkpoint_id,
        }
    }
