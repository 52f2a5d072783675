"""
The monitoring report as a workbook, in the form of the JCM's sheets.

Formulas are live: daily sums, deductions, quantity, factor, tonnes and whole credits can be traced
from cell to cell.  Each cell also has its value, for programs that do not calculate; XlsxWriter
writes both (openpyxl cannot write a formula's value), and the same input gives the same bytes.
"""

from mrv.report.sheets.workbook import workbook

__all__ = ["workbook"]
