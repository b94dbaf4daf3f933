"""Scoring calls: JSON and table bodies decoded into one form."""
