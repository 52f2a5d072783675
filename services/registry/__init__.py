"""
Registry files: sites, devices and projects, and their consistency.

No SQL here: files become entries, entries are compared with the rules, and a
plan says which rows would change.  `services/store` carries a plan out.
"""
