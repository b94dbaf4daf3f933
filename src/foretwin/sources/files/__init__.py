"""A user's files as they are: where they lie, how they are written, and their rows as one table."""
