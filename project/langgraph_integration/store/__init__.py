"""Durable state: the run ledger and LangGraph's checkpoints in one database."""

from langgraph_integration.store.memory import MemoryDatabase
from langgraph_integration.store.opening import Store, open_store
from langgraph_integration.store.retention import Retention, SweepReport

__all__ = ["MemoryDatabase", "Retention", "Store", "SweepReport", "open_store"]
