"""The sewerage registry: assets as files hold them, and whether they make a network."""
