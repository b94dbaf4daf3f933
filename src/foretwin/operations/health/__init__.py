"""Health of the processes that run for good: whether they are alive, ready, and how far behind."""
