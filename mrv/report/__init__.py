"""
Reports: a statement and its verification as workbook and PDF, and a programme report.

A report contains nothing beyond the signed documents and their evidence, and is byte-identical for
the same documents.
"""

from mrv.report.render import MEDIA_TYPES, Format, make, make_programme
from mrv.report.report_data import Facts
from mrv.report.words import LANGUAGES

__all__ = ["LANGUAGES", "MEDIA_TYPES", "Facts", "Format", "make", "make_programme"]
