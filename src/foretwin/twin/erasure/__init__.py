"""Erasure of an asset: store, files, caches, and the models that saw it."""
