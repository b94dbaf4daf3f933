"""The contract of a machine type, `twin.yaml`, as a checked object."""
