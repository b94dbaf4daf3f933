"""Connectors that bring readings in: MQTT and files."""
