"""Connectors that bring readings in: one way in for brokers and servers of whatever kind, and files."""
