"""The model that serves a twin: champion, challenger, provenance and ledger, as files."""
