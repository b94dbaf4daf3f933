"""Who may call the HTTP services: API keys, what each may do, and how often."""
