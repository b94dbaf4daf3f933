"""Cases: decided from scores, kept in the store, told as service requests, closed by verdicts."""
