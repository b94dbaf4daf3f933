"""Draft of tables beside the readings: failures, maintenance, events, machines."""
