"""Access control of the HTTP services: API keys, scopes, bounds, rates."""
