"""Languages in which pages are opened: one here, all in the soak; word files cover every text."""

from mrv.report.words import LANGUAGES
from tests.soak import SOAK

SHOWN = LANGUAGES if SOAK else ("vi",)
