"""Parameters of methodologies and indicators: specifications, and reading from JSON."""
