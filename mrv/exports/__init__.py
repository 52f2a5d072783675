"""
Files for registries and ministries, from issued statements.

Each field is computed from a statement, entered by an authority (`entered`), or named as
missing.  No value is invented, and only whole tonnes credited are written.
"""
