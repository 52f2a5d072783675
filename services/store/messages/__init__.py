"""Tables of what came over MQTT beside readings: dead letters, status, signed values."""
