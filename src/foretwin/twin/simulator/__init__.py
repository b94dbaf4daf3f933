"""Simulated machines: a fleet's readings sent as its machines would send them."""
