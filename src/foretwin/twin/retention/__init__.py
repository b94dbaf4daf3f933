"""Retention: what is due is written to the archive, read back, and dropped from the store in small pieces."""
