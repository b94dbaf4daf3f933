"""The `foretwin` command."""
