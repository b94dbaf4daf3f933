"""Commands of who operates an installation."""
