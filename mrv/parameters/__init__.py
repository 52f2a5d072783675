"""Parameters of methodologies and indicators: their specifications, and reading them from JSON."""
