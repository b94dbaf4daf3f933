"""Figures, plots and pages of the served artefact on held-out assets, and the baselines."""
