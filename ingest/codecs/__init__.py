"""Codecs: one folder per encoding, with its content types, its first bytes and its golden cases."""
