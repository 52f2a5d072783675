"""Commands of statements: close, sign, verify, log, keys, reports."""
