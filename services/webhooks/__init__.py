"""Signed events for other systems, sent from the outbox in the database, with retries."""
