"""A machine as an asset administration shell (AAS 3.0) with submodels of the IDTA, and its end-of-life report."""
