"""
Offline verification of a statement or an evidence pack, in numbered steps.

The verification relies only on the reader's trusted keys: the pack's results are recalculated from
its raw readings by the functions that produced them.
"""

from mrv.packs.pack import Pack, Table
from mrv.verify.report import Report, StepResult, lines
from mrv.verify.steps import STEPS, verify

__all__ = ["STEPS", "Pack", "Report", "StepResult", "Table", "lines", "verify"]
