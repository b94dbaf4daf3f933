"""Scores in the store, and what is counted from them."""
