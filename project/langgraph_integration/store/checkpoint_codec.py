"""A checkpoint as one row: the values of its channels inside it, not beside it.

LangGraph's PostgreSQL saver stores values apart to share unchanged ones; an event's run is short and small,
and one row and one serialization for each step cost less than the sharing saves.
"""

from collections.abc import Mapping
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata, CheckpointTuple, get_checkpoint_metadata
from langgraph.checkpoint.serde.base import SerializerProtocol

from langgraph_integration.store.commands import CheckpointRow, StoredCheckpoint
from workflow_events.errors import StateCorrupt

LEASE_EPOCH = "lease_epoch"
"""The key of `config["configurable"]` that fences a write."""

_REQUIRED = frozenset({"v", "id", "ts", "channel_values", "channel_versions", "versions_seen"})


class CheckpointCodec:
    """Rows from checkpoints and back, with one serializer."""

    __slots__ = ("_serde",)

    def __init__(self, serde: SerializerProtocol) -> None:
        self._serde = serde

    def encode(
        self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata
    ) -> CheckpointRow:
        """The row to store. The lease is no part of the metadata: it says who wrote, not what."""
        conf = config["configurable"]
        described = cast(dict[str, Any], get_checkpoint_metadata(config, metadata))
        described.pop(LEASE_EPOCH, None)
        kind, state = self._serde.dumps_typed((checkpoint, described))
        run_id = described.get("run_id")
        return CheckpointRow(
            str(conf["thread_id"]),
            conf.get("checkpoint_ns", ""),
            checkpoint["id"],
            conf.get("checkpoint_id"),
            None if run_id is None else str(run_id),
            conf.get(LEASE_EPOCH),
            kind,
            state,
        )

    def decode(self, stored: StoredCheckpoint) -> CheckpointTuple:
        """The checkpoint of a row. Raises `StateCorrupt` if the bytes are not one."""
        row = stored.row
        pair = self._serde.loads_typed((row.kind, row.state))
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, dict) for part in pair)):
            raise StateCorrupt(f"checkpoint {row.checkpoint_id} of thread {row.thread_id} is not one")
        checkpoint, metadata = pair
        if not checkpoint.keys() >= _REQUIRED:
            raise StateCorrupt(f"checkpoint {row.checkpoint_id} of thread {row.thread_id} lacks fields")
        writes = [
            (write.task_id, write.channel, self._serde.loads_typed((write.kind, write.value)))
            for write in stored.writes
        ]
        parent = row.parent_id and _pointer(row, row.parent_id)
        return CheckpointTuple(_pointer(row, row.checkpoint_id), checkpoint, metadata, parent or None, writes)


def _pointer(row: CheckpointRow, checkpoint_id: str) -> RunnableConfig:
    conf: Mapping[str, str] = {
        "thread_id": row.thread_id,
        "checkpoint_ns": row.checkpoint_ns,
        "checkpoint_id": checkpoint_id,
    }
    return {"configurable": dict(conf)}
