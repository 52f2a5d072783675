"""Tables of the API: keys, audit rows, idempotent answers."""
