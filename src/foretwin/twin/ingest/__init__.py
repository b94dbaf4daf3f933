"""Readings in: decoded, checked against the contract and the store, kept once; the rest in quarantine."""
