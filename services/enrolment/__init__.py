"""Credentials of the registry's devices, and brokers that accept them."""
