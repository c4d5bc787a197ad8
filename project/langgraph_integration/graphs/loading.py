"""From a reference in langgraph.json to a compiled graph."""

import hashlib
import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from langgraph_integration.graphs.specs import Graph
from workflow_events.errors import ConfigurationError


async def load_graph(name: str, reference: str, folder: Path) -> Graph:
    """The compiled graph behind `./file.py:attribute` or `package.module:attribute`.

    The attribute may be a compiled graph, a `StateGraph`, or a function of nothing or of a configuration,
    synchronous or not, that returns one. Relative files and imports start from `folder`. Raises
    `ConfigurationError` naming the entry.
    """
    where, separator, attribute = reference.rpartition(":")
    if not separator or not where or not attribute:
        raise ConfigurationError(f"graph {name!r}: {reference!r} is no reference; use ./file.py:attribute")
    try:
        module = _module(where, folder)
    except Exception as error:
        raise ConfigurationError(f"graph {name!r}: {where} cannot be loaded: {error!r}") from error
    try:
        found = getattr(module, attribute)
    except AttributeError as error:
        raise ConfigurationError(f"graph {name!r}: {where} has no attribute {attribute!r}") from error
    return await _compiled(name, found)


def _module(where: str, folder: Path) -> ModuleType:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    if not where.endswith(".py"):
        return importlib.import_module(where)
    file = (folder / where).resolve()
    # the folder is part of the name: two projects may both have a graph.py
    unique = f"_graph_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}_{file.stem}"
    if unique in sys.modules:
        return sys.modules[unique]
    spec = importlib.util.spec_from_file_location(unique, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise FileNotFoundError(f"no such file: {file}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[unique]
        raise
    return module


async def _compiled(name: str, found: Any) -> Graph:
    if callable(found) and not isinstance(found, Pregel | StateGraph):
        try:
            found = found({}) if inspect.signature(found).parameters else found()
            if inspect.isawaitable(found):
                found = await found
        except Exception as error:
            raise ConfigurationError(f"graph {name!r}: its factory failed: {error!r}") from error
    if isinstance(found, StateGraph):
        found = found.compile()
    if not isinstance(found, Pregel):
        raise ConfigurationError(f"graph {name!r} is a {type(found).__name__}, not a LangGraph graph")
    return found
