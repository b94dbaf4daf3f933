"""Rows of machines to lives: in order, numbered, on the grid, with counters as rates."""
