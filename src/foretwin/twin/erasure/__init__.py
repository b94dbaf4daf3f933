"""What is kept of an asset: its thread, its copy, its erasure, and what training learns from it."""
