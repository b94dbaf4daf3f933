"""Features of waveforms: one set of functions for training and serving, on NumPy and SciPy alone."""
