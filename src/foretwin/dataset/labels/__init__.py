"""Labels of canonical rows: what they say of lives that did not end, whether a channel tells them, what they teach."""
