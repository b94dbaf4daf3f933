"""Partitions of the fleet: which assets belong to which, who may write to it, which worker owns it."""
