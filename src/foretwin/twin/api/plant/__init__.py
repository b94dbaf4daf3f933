"""Routes about whole plants: key figures, monitor, quarantine, deliveries."""
