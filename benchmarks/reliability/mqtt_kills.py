"""Kill a broker of MQTT and our process at random, and count what was lost, for reports/connectors.json.

    python -m benchmarks.reliability.mqtt_kills [KILLS]

Two pumps publish ten times a second to a Mosquitto that keeps what waits by the settings of serving/mosquitto/. It and
`foretwin ingest` are killed with SIGKILL, the broker twice as often, and started again. In the end every value that the
broker has acknowledged, with somebody who subscribes to it, must be stored once, with its source's time. Of each loss
of the broker it is measured when the log tells it.
"""

import sys
import tempfile
from pathlib import Path

from benchmarks.reliability.bus_kills import EVERY, PUMPS, disturb
from benchmarks.reliability.connector_kills import keep_kills, write_connection
from benchmarks.reliability.mqtt_plant import TAGS, MqttPumps
from benchmarks.reliability.shipped_broker import KillableBroker
from foretwin.project.entrypoint import exit_on_error


def main(kills: int) -> None:
    """Run it, write the figures; ForetwinError where a value was lost or stands twice."""
    with tempfile.TemporaryDirectory(prefix="foretwin-mqtt-") as name:
        folder = Path(name)
        broker = KillableBroker(folder / "broker").start()
        write_connection(folder, broker.url, TAGS)
        try:
            found = disturb(folder, broker, MqttPumps(broker.url, PUMPS, EVERY), kills)
        finally:
            broker.kill()
    keep_kills("mqtt", found)


if __name__ == "__main__":
    with exit_on_error():
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
