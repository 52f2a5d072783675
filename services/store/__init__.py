"""Database queries that read and write rows; calculations are elsewhere."""
