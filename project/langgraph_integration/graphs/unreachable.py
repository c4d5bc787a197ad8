"""What a stored thread waits for and its graph no longer has.

LangGraph passes over a node, a join or a packet that it does not know, and calls the half-done state
finished. After a deploy that is a wrong answer that nobody notices: a thread is looked at before it goes on.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.pregel import Pregel
from langgraph.types import Send, StateSnapshot

from langgraph_integration.graphs.specs import Graph

_BRANCH = "branch:to:"
_JOIN = "join:"
_SENDS = "__pregel_tasks"  # LangGraph's channel of `Send` packets; its constant is private


async def missing_nodes(graph: Graph, state: StateSnapshot) -> list[str]:
    """The nodes that the thread, as `state` shows it, is to go on with and that are gone; those of a subgraph
    as `outer.inner`. A join whose sources have changed counts, too: it would wait for ever for the old ones.

    Subgraphs that a node's function calls are not looked at: nobody knows which of them a checkpoint is of.
    """
    saver = graph.checkpointer
    if not isinstance(saver, BaseCheckpointSaver):
        return []
    return sorted({name async for name in _missing(graph, graph, saver, state, "")})


async def _missing(
    top: Graph, graph: Graph, saver: BaseCheckpointSaver[Any], state: StateSnapshot, prefix: str
) -> AsyncIterator[str]:
    saved = await saver.aget_tuple(state.config)
    known = graph.channels.keys() | {_BRANCH + node for node in graph.nodes}
    for channel in _awaited(saved) - known if saved else ():
        yield prefix + channel.removeprefix(_BRANCH).removeprefix(_JOIN)
    for task in state.tasks:
        node = graph.nodes.get(task.name)
        inner = None if node is None else node.bound
        # a dict: where the subgraph's own checkpoints are
        if isinstance(inner, Pregel) and isinstance(task.state, dict):
            inner_state = await top.aget_state(task.state)
            async for name in _missing(top, inner, saver, inner_state, f"{prefix}{task.name}."):
                yield name


def _awaited(saved: CheckpointTuple) -> set[str]:
    """The channels that start nodes: in the checkpoint, and in the writes that the next step begins with."""
    values = list(saved.checkpoint["channel_values"].items())
    values += [(channel, value) for _, channel, value in saved.pending_writes or ()]
    return {start for channel, value in values for start in _starts(channel, value)}


def _starts(channel: str, value: Any) -> Iterator[str]:
    if channel.startswith(_BRANCH):
        yield channel
    elif channel.startswith(_JOIN):
        # a deferred join is stored as its sources and whether they are all there
        if value[0] if isinstance(value, (list, tuple)) else value:
            yield channel
    elif channel == _SENDS:
        for packet in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(packet, Send):
                yield _BRANCH + packet.node
