"""Tables of the Kafka path: stored offsets and their topic."""
