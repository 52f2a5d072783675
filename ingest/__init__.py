"""Core of metering: from a message to interval quantities, as pure functions over columns."""

import os

# A product of two tables of a project takes less time than a second thread of OpenBLAS waits for
# the next one.  The variable is read when numpy is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
