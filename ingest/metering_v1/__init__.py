"""
Metering rules of tonne 0.1.0 (version 1): frozen, never changed again.

Data metered by these rules are verified by them: statements and evidence packs without a version,
and interval rows of version 1.  New data are not metered by them.
"""
