"""The life of a statement: close, sign, verify, issue, seal, report."""
