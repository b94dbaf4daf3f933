"""Contract of a machine type: `twin.yaml` as a validated object."""
