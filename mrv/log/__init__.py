"""The transparency log: entries, checkpoints, inclusion and consistency proofs."""
