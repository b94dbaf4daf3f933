"""NATS JetStream: a stream's messages by a durable consumer; the only importer of nats-py, an optional extra."""
