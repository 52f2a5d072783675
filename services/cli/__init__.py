"""The command `tonne`."""
