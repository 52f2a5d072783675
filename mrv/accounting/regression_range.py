"""
Range of the weather in which a baseline was regressed, and what counts beyond it.

A regression says nothing of weather that its months did not have (IPMVP option C; ASHRAE
Guideline 14 allows a tenth beyond them [M]).  Parts of about four weeks above 1.1 of the warmest
month count as that; below 0.9 of the coolest one the line gives less than its bound and counts.
Both are a condition that does not hold.
"""

from __future__ import annotations

from fractions import Fraction

from ingest.model import HOUR_US

RULE = "MTR-10"
# of the range of a regression, beyond which it is not asked (ASHRAE Guideline 14) [M]
BEYOND = Fraction(1, 10)
MONTH_US = Fraction(36525, 1200) * 24 * HOUR_US
