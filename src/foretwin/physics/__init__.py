"""Published physical models of machines, in SI units, vectorised over assets."""
