"""Readings in the store: batches, layouts, windows, quarantine, history."""
