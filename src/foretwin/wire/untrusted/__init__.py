"""Sizes that a file announces, read before anything is unpacked."""
