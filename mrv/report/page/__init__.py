"""
The report as pages: PDF/A with charts, embedded fonts and selectable text.

Python supplies the content as blocks of data; `page.typ` defines the layout.  Typst renders it
without system fonts or clock, so that the result is byte-identical on every machine.
"""

from mrv.report.page.document import page

__all__ = ["page"]
