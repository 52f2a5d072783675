"""Simulated and recorded field devices, with faults."""
