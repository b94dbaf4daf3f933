"""Checks of an installation: what would keep it from working, in one line each."""
