"""
Registry files: sites, devices and projects, and the rules between them.

No SQL here: files are parsed into entries, entries are checked against the rules, and a plan lists
the rows to change.  `services/store` carries it out.
"""
