"""Signatures: canonical JSON, digests, Merkle trees, keys, data integrity proofs."""
