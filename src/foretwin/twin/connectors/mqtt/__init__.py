"""MQTT: sessions with a broker, and readings that come through one."""
