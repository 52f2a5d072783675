"""Languages in which pages are opened: one here, all in the soak; word files show every word."""

from mrv.report.words import LANGUAGES
from tests.soak import SOAK

SHOWN = LANGUAGES if SOAK else ("vi",)
