"""Ways in for readings: MQTT and files."""
