"""MQTT: topics, message batches, the session with its acknowledgements."""
