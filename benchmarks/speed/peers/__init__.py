"""What else could answer the scoring service's calls, each as a good engineer would write it; for the bench alone."""
