"""`connections.yaml`: what is listened to, and which tag is which channel of which machine."""
