"""Commands that calculate without a database: evaluate, estimate, indicator."""
