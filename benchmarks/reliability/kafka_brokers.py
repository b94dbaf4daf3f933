"""The three brokers of librdkafka's own mock cluster as a process of their own, until its standard input ends.

    python -m benchmarks.reliability.kafka_brokers PARTITIONS [TOPIC]...

It prints the brokers' addresses. `down` on its standard input cuts all connections and refuses new
ones, `up` ends that, `delete TOPIC PARTITION OFFSET` deletes what lies before it, `slow BROKER MS` lets a broker
answer late.
What it holds lies in its memory. It speaks no TLS and knows no users.
"""

import ctypes
import sys

from confluent_kafka import cimpl

BROKERS = 3
PRODUCER = 0  # kind of the client whose threads the brokers use
ROOM = 512  # bytes of the text of an error


def main(partitions: int, topics: list[str]) -> None:
    """Be the brokers."""
    library = ctypes.CDLL(cimpl.__file__)  # what it is linked with is found in it
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    error = ctypes.create_string_buffer(ROOM)
    client = library.rd_kafka_new(PRODUCER, ctypes.c_void_p(library.rd_kafka_conf_new()), error, ROOM)
    if not client:
        raise SystemExit(error.value.decode())
    cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(ctypes.c_void_p(client), BROKERS))
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 100)
    for topic in topics:
        library.rd_kafka_mock_topic_create(cluster, topic.encode(), partitions, BROKERS)
    print(library.rd_kafka_mock_cluster_bootstraps(cluster).decode(), flush=True)
    for line in sys.stdin:
        if line.startswith("delete "):
            _, topic, partition, before = line.split()
            at = ctypes.c_int32(int(partition)), ctypes.c_int64(int(before))
            library.rd_kafka_mock_partition_delete_records(cluster, topic.encode(), *at)
        elif line.startswith("slow "):
            _, number, milliseconds = line.split()
            library.rd_kafka_mock_broker_set_rtt(cluster, int(number), int(milliseconds))
        else:
            change = library.rd_kafka_mock_broker_set_down if line == "down\n" else library.rd_kafka_mock_broker_set_up
            for number in range(1, BROKERS + 1):
                change(cluster, number)
        print(line.strip(), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
