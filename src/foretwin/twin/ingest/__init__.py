"""Ingestion of readings: checked against contract and store, stored once; the rest goes to quarantine."""
