"""
Metering, version 1, as tonne 0.1.0 had it: frozen, never changed again.

What was metered by it is checked by it: statements and packs without a version, and
interval rows that say 1.  Nothing new is metered by it.
"""
