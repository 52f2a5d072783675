"""
The report as pages: PDF/A with charts, embedded fonts and selectable text.

Python says what stands on the pages, as blocks of data; `page.typ` says how they
look.  Typst sets them: one library without any system's fonts or clock, so the
same documents give the same bytes on every machine.
"""

from mrv.report.page.document import page

__all__ = ["page"]
