"""Credentials for the registry's devices, and brokers that know of them."""
