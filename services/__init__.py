"""Processes and sockets around the core: pipeline, store, issuer, API, command line."""
