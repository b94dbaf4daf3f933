"""Commands of the living twin."""
