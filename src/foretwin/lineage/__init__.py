"""Lineage in both directions: what a score was made of, and what became of a data file or an asset."""
