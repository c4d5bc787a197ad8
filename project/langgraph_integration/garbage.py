"""The garbage collector of a process that runs graphs: at rest while it starts, tuned once after that."""

import gc

_THRESHOLDS = (50_000, 8, 50)


def hold_garbage() -> None:
    """No collections until `settle_garbage`: what a start imports is there to stay.

    A seventh of the time of importing LangGraph goes into looking at modules that grow (see DESIGN.md).
    """
    gc.disable()


def settle_garbage() -> None:
    """Leave out of every later collection what lives as long as the process, and collect less often.

    A run makes thousands of short-lived objects, few of them in cycles: Python's default of a collection
    for every 700 looks at the modules of LangGraph and at all runs in flight again and again (a tenth of
    the processor time of a graph that does nothing; see DESIGN.md). For processes of our own, not for
    libraries: their callers' collector is theirs.
    """
    # no collection before: it would find a megabyte, and stop heartbeats and health for a tenth of a second
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    gc.enable()
