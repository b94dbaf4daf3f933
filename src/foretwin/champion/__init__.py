"""Which model serves a twin: champion, challenger, provenance and ledger, as files."""
