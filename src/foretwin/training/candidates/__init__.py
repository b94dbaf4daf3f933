"""Candidates of a blend: fitted on features that the exported graph computes, and written as its nodes."""
