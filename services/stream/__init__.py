"""`tonne worker`: from Kafka to TimescaleDB with Faust."""
