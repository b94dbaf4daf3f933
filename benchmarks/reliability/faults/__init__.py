"""Random faults under load: what the living twin loses, doubles, or cannot get over by itself."""
