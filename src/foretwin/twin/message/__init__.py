"""A reading as it is written: its names, its cells, its columns."""
