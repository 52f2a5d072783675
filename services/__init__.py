"""Processes and sockets around the core: pipeline, store, issuer, API, command line."""

import ingest  # noqa: F401 - its settings of numpy, before numpy
