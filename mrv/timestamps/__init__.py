"""Time stamps by authorities (RFC 3161): reading and verifying their tokens."""
