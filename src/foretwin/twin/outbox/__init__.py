"""Events told to others: CloudEvents, by signed webhooks and over MQTT."""
