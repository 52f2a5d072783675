"""
Export files for registries and ministries, from issued statements.

Each field is calculated from a statement, entered by an authority (`entered`), or reported as
missing. No value is invented; only credited whole tonnes are written.
"""
