"""PV plants in operation: the sun under a clear sky, and how a ratio changes from year to year."""
