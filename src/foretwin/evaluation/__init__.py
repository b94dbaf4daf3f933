"""Evaluation of the served bundle on held-out assets: figures, plots, report pages and baselines."""
