"""Monitoring: drift of readings and scores against training, and realised errors."""
