"""Foretwin: a digital twin of every machine, and what it says about the time the machine has left."""

__version__ = "0.1.0"
