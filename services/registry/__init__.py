"""
Registry files: sites, devices and projects, and the rules between them.

Files are parsed into entries, entries are checked against the rules, and a plan lists the rows to
change.  `services/store` writes them; this package contains no SQL.
"""
