"""The garbage collector of the service's process."""

import subprocess
import sys

PROGRAM = """
import gc
from langgraph_integration.garbage import hold_garbage, settle_garbage

class Loop:
    pass

hold_garbage()
assert not gc.isenabled()
settle_garbage()
assert gc.isenabled()
assert gc.get_freeze_count() > 1_000
loop = Loop()
loop.me = loop
del loop
assert gc.collect() >= 1
"""


def test_what_lives_for_ever_is_looked_at_no_more_and_garbage_still_goes() -> None:
    """Modules are out of the collector's way, which rests until they are there; a cycle of a run is not."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
