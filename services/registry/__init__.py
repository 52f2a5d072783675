"""
Registry files: what sites, devices and projects there are, and whether it holds together.

No SQL here: files become entries, entries are compared with the rules, and a
plan says which rows would change.  `services/store` carries a plan out.
"""
