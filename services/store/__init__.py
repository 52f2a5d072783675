"""Queries: what the database holds, read and written. No formula stands here."""
