"""Codecs: one folder per encoding, with its content types, its signs and its golden cases."""
