"""`tonne bridge`: from MQTT to Kafka."""
