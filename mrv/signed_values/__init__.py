"""Values that their meter signed: reading them, keys of meters, and what a signature shows."""
