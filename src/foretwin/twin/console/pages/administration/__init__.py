"""What administrators do: who may call, and what is kept."""
