"""Languages in which pages are opened; that each has every word, word files show."""

from mrv.report.words import LANGUAGES
from tests.soak import SOAK

SHOWN = LANGUAGES if SOAK else ("vi", "de")
