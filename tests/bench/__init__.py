"""Benchmarks of this machine: `make bench`."""

import os

# as the command `tonne` has it, before numpy is imported
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
