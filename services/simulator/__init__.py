"""Simulated or replayed field devices, with faults."""
