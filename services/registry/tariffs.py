"""
Prices of electricity at a site, each from a local day on: money, never carbon.

What is drawn costs `import_per_kwh`.  What a plant makes earns `feed_in_per_kwh` where all of it is
sold, else it saves what would have been drawn; what a meter at the grid gives away earns
`export_per_kwh`.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import date
from typing import Any

from services.registry.entries import Site, Tariff
from services.registry.fields import Row

PRICES = ("import_per_kwh", "export_per_kwh", "feed_in_per_kwh")
_CURRENCY = re.compile("[A-Z]{3}")
# a kWh costs some 3,000 VND or 1,500 IDR; dearer than this is a slip in the unit
_HIGHEST = 1_000_000


def tariff(row: Row) -> Tariff:
    """Read a row of `tariffs`."""
    row.only("from", "currency", *PRICES, "source")
    begins = row.required("from", row.day("from"), "the first local day of the prices")
    currency = row.text("currency")
    if currency and not _CURRENCY.fullmatch(currency):
        row.problem("currency", f"{currency!r} is no currency of ISO 4217, such as EUR or KES")
    prices = {name: row.number(name, 0, _HIGHEST) for name in PRICES}
    if not row.problems and all(price is None for price in prices.values()):
        row.problem("import_per_kwh", f"is missing; give at least one of {', '.join(PRICES)}")
    return Tariff(begins or date(2000, 1, 1), currency, **prices, source=row.optional("source"))


def rows(site: Site) -> list[dict[str, Any]]:
    """Return the prices of a site as a file has them."""
    whole = ({"from": one.pop("begins"), **one} for one in map(asdict, site.tariffs or ()))
    return [{key: value for key, value in one.items() if value is not None} for one in whole]
