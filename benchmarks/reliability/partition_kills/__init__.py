"""Kill workers, bus, database and whole hosts of a partitioned fleet at random; `python -m` writes the report."""
