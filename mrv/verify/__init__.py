"""
Offline check of a statement or an evidence pack, in numbered steps.

Nothing is looked up and nothing is believed but the keys that the reader
trusts: what the pack says is computed again from its raw readings, through the
same functions that made it.
"""

from mrv.packs.pack import Pack, Table
from mrv.verify.report import Report, StepResult, lines
from mrv.verify.steps import STEPS, verify

__all__ = ["STEPS", "Pack", "Report", "StepResult", "Table", "lines", "verify"]
