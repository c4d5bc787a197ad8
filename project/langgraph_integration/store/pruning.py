"""Which checkpoints of a thread a prune may delete."""

from collections.abc import Sequence

from langgraph.checkpoint.base import CheckpointTuple


def superseded(checkpoints: Sequence[CheckpointTuple], strategy: str) -> Sequence[tuple[str, str, str]]:
    """All but the newest of each namespace; newest first in, (thread, namespace, id) out.

    A namespace whose newest checkpoint uses delta channels keeps its whole history: such a channel is
    rebuilt from the writes of its ancestors. Raises ValueError for another strategy than `keep_latest`.
    """
    if strategy != "keep_latest":
        raise ValueError(f"unknown prune strategy {strategy!r}: use 'keep_latest' or 'delete'")
    kept: set[str] = set()
    whole: set[str] = set()
    doomed: list[tuple[str, str, str]] = []
    for found in checkpoints:
        conf = found.config["configurable"]
        namespace: str = conf["checkpoint_ns"]
        if namespace not in kept:
            kept.add(namespace)
            if found.metadata.get("counters_since_delta_snapshot"):
                whole.add(namespace)
        elif namespace not in whole:
            doomed.append((conf["thread_id"], namespace, conf["checkpoint_id"]))
    return doomed
