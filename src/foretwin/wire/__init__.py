"""Untrusted bytes to readings: one decoder for the scoring service, MQTT, HTTP and files."""
