"""First contract of a machine, guessed from a user's own table, with what was given up and assumed."""
