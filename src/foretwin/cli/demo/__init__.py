"""The demonstration: a living fleet on this machine."""
