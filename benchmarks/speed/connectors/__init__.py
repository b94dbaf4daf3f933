"""How fast each connector stores what comes, as shares of the bare client and of ingestion from memory."""
