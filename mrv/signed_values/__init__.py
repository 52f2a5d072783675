"""Values signed by their meter: reading, keys of meters, and verification."""
