"""Scores: the newest windows in bounded memory, `Bundle.score` for many at once, and who has fallen silent."""
