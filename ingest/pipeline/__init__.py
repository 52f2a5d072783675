"""
The pure pipeline: messages to judged readings (`admit`), readings to intervals.

`meter` goes on from remembered marks, whether they are of the last batch, of a
stored interval or of nothing at all, and comes to the same rows: that is
tested, and `tonne rebuild --check` asks it of a live database.
"""

from ingest.pipeline.admit import Admitted, admit
from ingest.pipeline.bounds import Bounds
from ingest.pipeline.meter import Metered, meter
from ingest.pipeline.state import MeterState

__all__ = [
    "Admitted",
    "Bounds",
    "MeterState",
    "Metered",
    "admit",
    "meter",
]
