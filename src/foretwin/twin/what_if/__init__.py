"""What would become of a machine that is run otherwise."""
