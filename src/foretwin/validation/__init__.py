"""Validation of canonical tables: a contract's rules as data, checked by Great Expectations."""
