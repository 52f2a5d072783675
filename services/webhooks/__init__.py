"""Events for systems of others: signed, sent from the outbox in the database, tried again."""
