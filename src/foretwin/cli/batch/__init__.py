"""Scoring of many files at once."""
