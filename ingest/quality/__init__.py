"""Quality tests: each takes arrays of readings and returns a mask of suspect ones."""
