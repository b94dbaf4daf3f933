"""Clients of both services: DataFrames in and out, the same calls blocking and asynchronous."""
