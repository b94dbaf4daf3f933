"""Sparkplug B on MQTT: edge nodes and their devices, by the tables that their birth messages bring."""
