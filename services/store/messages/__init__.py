"""Tables of data received over MQTT other than readings: dead letters, status, signed values."""
