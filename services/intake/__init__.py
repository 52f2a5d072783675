"""What run, bridge and worker share: receiving, acknowledging, waiting for servers."""
