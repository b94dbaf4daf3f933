"""Untrusted bytes to readings and tables."""
