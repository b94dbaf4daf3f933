"""Delivery of events: CloudEvents, by signed webhooks and over MQTT."""
