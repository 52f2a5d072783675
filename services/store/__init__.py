"""Database queries: reading and writing of rows, without calculations."""
