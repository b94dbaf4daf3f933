"""Places of a user's files, and the copies of what lies there."""
