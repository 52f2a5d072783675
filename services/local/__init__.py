"""Local servers for one machine: PostgreSQL, mosquitto, Kafka, Prometheus, Grafana."""
