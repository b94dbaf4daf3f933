"""Schemas of what `foretwin live` answers: described in its OpenAPI document, and held to by the tests."""
