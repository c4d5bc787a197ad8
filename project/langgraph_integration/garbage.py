"""The garbage collector of a process that runs graphs, tuned once after the start."""

import gc

_THRESHOLDS = (5_000, 20, 50)


def settle_garbage() -> None:
    """Leave out of every later collection what lives as long as the process, and collect less often.

    A run makes thousands of short-lived objects, few of them in cycles: Python's default of a collection
    for every 700 looks at the modules of LangGraph and at all runs in flight again and again (a tenth of
    the processor time of a graph that does nothing; see DESIGN.md). For processes of our own, not for
    libraries: their callers' collector is theirs.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
