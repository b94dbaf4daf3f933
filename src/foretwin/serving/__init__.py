"""The scoring service: HTTP, access, scoring, packaging."""
