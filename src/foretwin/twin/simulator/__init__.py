"""A fleet's readings, sent as its machines would send them."""
