"""Tables of statements, their evidence and findings, and of the transparency log."""
