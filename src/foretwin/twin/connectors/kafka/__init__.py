"""Apache Kafka: topics by a consumer group, and what is published; the only importer of confluent-kafka, an extra."""
