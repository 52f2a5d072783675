"""Tables of the Kafka path: offsets that were stored, the topic they belong to."""
