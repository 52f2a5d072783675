"""Codecs: one folder an encoding, with its content types, its signs and its golden cases."""
