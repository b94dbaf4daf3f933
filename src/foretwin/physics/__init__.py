"""Published physics of the machines, in SI units, vectorised over assets."""
