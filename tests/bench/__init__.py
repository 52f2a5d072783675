"""Benchmarks of this machine: `make bench`."""
