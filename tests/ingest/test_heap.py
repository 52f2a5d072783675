"""Memory freed by arrays stays with the process."""

import subprocess
import sys

_TELL = """
import resource, sys
import numpy as np
from ingest.heap import keep_freed
if sys.argv[1] == "kept":
    keep_freed()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(5_000_000)
before = faults()
for _ in range(20):
    np.ones(5_000_000)
print(faults() - before)
"""


def _faults(how: str) -> int:
    made = subprocess.run(
        [sys.executable, "-c", _TELL, how], capture_output=True, text=True, check=True
    )
    return int(made.stdout)


def test_pages_of_freed_arrays_are_not_cleared_again():
    assert _faults("kept") < _faults("given back") / 10
