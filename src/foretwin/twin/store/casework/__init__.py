"""Cases, verdicts, maintenance, audit, and the events about them."""
