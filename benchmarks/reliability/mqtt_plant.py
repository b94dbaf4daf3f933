"""Pumps that publish to a broker of MQTT, each value a message, until the broker has it for somebody who listens."""

import json
import threading

from benchmarks.reliability.counted_pumps import CountedPumps
from foretwin.project.loops import Backoff
from foretwin.twin.connectors.mqtt.session import connect_broker

TAGS = '{at: "factory/{asset}/{channel}", value: $.v, time: $.t}'
QUICK = Backoff(0.05, 0.5)


class MqttPumps(CountedPumps):
    """Publishes with QoS 1, all of a tick together; what nobody subscribes to yet is published again."""

    def __init__(self, url: str, pumps: int, every: float) -> None:
        super().__init__(pumps, every)
        self.url = url

    @property
    def may_be_heard(self) -> bool:
        """At once: the broker stands."""
        return True

    def run(self) -> None:
        """Publish tick after tick."""
        session = connect_broker(self.url, "pumps", threading.Event(), None, QUICK)
        while not self.quiet.is_set():
            moment = self.began + self.published
            bodies = {
                f"factory/{name}/{channel}": json.dumps({"v": value, "t": moment}).encode()
                for name, values in self.values_of(self.published).items()
                for channel, value in values.items()
            }
            while bodies and not self.quiet.is_set():
                answers = {topic: session.publish(topic, body) for topic, body in bodies.items()}
                bodies = {topic: bodies[topic] for topic, answer in answers.items() if not answer.result()}
                self.quiet.wait(0.1 if bodies else 0.0)
            self.published += not bodies
            self.quiet.wait(self.every)
        session.close()
