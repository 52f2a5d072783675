"""Field devices that are made up or replayed, with faults."""
