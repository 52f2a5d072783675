"""PV plants in operation: clear-sky irradiance, and yearly change of the performance ratio."""
