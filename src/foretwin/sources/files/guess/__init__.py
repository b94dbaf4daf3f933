"""Guesses of how a user's files are written, from the files themselves."""
