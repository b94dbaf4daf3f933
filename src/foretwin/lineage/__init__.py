"""Trace lineage in both directions: from a score to its inputs, from a data file or an asset to its models."""
