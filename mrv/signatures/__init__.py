"""What is signed, and how: canonical JSON, digests, Merkle trees, keys, data integrity proofs."""
