"""Common parts of run, bridge and worker: receiving, acknowledging, waiting for servers."""
