"""Publish to topics of Kafka: what is published is with the brokers, or an error says why not."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException, Producer

from foretwin.twin.connectors.connections.connections_file import Peer
from foretwin.twin.connectors.kafka.client_settings import SILENT, client_settings, is_refusal, refused

TIMEOUT = 15_000  # ms that the brokers may take for a message, however often it is sent
PublishTo = Callable[[str, str, bytes, dict[str, str]], None]


@contextmanager
def opened_topics(peer: Peer) -> Iterator[PublishTo]:
    """Give a function that publishes to a topic, with a key, a body and headers, and waits for the brokers.

    It raises OSError where they do not take it in time, BrokerError where they refuse us.
    """
    settings = client_settings(peer.name, peer.settings.url, peer.root, peer.settings.user, peer.password())
    refusals: list[KafkaError] = []
    more = {"enable.idempotence": True, "message.timeout.ms": TIMEOUT, "error_cb": refusals.append}
    producer = Producer(settings | more, logger=SILENT)

    def publish(topic: str, key: str, body: bytes, headers: dict[str, str]) -> None:
        answers: list[KafkaError | None] = []
        refusals.clear()
        try:
            producer.produce(topic, body, key, headers=headers, on_delivery=lambda error, _: answers.append(error))
        except (KafkaException, BufferError) as problem:
            raise OSError(f"{peer.name}: {problem}") from None
        producer.flush(TIMEOUT / 1000 + 1)
        error = answers[0] if answers else None
        if answers and error is None:
            return
        for one in (*refusals, *([error] if error is not None else [])):
            if is_refusal(one):
                raise refused(peer.name, one)
        producer.purge()
        raise OSError(f"{peer.name}: {error.str() if error is not None else 'the brokers do not answer'}")

    try:
        yield publish
    finally:
        producer.flush(1)
