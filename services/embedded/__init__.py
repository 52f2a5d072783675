"""`tonne run`: from MQTT to TimescaleDB in one process."""
