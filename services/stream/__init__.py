"""`tonne worker`: from Kafka to TimescaleDB, by Faust."""
