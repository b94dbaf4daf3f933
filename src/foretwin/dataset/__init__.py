"""Canonical table, splits and windows."""
