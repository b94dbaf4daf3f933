"""Send a fleet's readings over MQTT or HTTP, at the pace of their clock or faster."""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import groupby
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.errors import BadInput
from foretwin.project.loops import Backoff
from foretwin.twin.connectors.mqtt.session import connect_broker
from foretwin.twin.simulator.disturbances import KINDS, UNDISTURBED, Disturbances, Stream, disturb, disturbance_bit
from foretwin.twin.simulator.fleet import fleet
from foretwin.wire.asset_names import check_name

__all__ = ["Failure", "ReplayPlan", "Summary", "fleet", "replay"]

logger = logging.getLogger("foretwin.replay")

JSON = "application/json"
KEYLESS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
PATIENCE = 30.0  # s until an answer, and until all is sent at the end
RETRY = Backoff(shortest=0.5, longest=30.0)  # s between two attempts to reach a service that is away or busy


@dataclass(frozen=True)
class ReplayPlan:
    """Destination, pace and disturbances of a replay.

    `url` is mqtt://, mqtts://, http:// or https://; `speed` how many units of the machines' clock pass in a second, 0
    for as fast as possible; `rows` how many readings of an asset share a message; `key` the API key for http.
    """

    url: str
    speed: float = 0.0
    rows: int = 1
    disturbances: Disturbances = UNDISTURBED
    seed: int = 0
    key: str | None = field(default=None, repr=False)


class Failure(NamedTuple):
    """A machine's failure that the replay has passed."""

    asset: str
    run: int
    time: float


@dataclass(frozen=True)
class Summary:
    """Counts of a replay. `disturbed` counts readings by kind; `unheard` messages had no subscriber."""

    messages: int
    readings: int
    disturbed: dict[str, int]
    failures: tuple[Failure, ...]
    refused: int
    unheard: int


def replay(
    contract: Twin,
    rows: pd.DataFrame,
    plan: ReplayPlan,
    stop: threading.Event,
    on_step: Callable[[float, int], None] | None = None,
) -> Summary:
    """Send the rows of `fleet` until their end or until `stop` is set; all assets share one clock.

    `on_step(clock, messages)` is called after each step of the machines' clock, which begins at the first reading and
    goes on from one run of an asset to its next. A service or broker that is away is waited for. BrokerError where a
    broker refuses; BadInput for a plan that cannot be, and for a key that the service does not take.
    """
    _check(plan, rows)
    stream = disturb(to_stream(rows, contract), plan.disturbances, contract, np.random.default_rng(plan.seed))
    sent = np.zeros(len(stream), bool)
    messages, clock = 0, -np.inf
    sender = _sender(plan, contract.name, stop)
    try:
        for clock, group in _paced(_steps(stream, plan.rows), plan.speed, stop):
            for places in group:
                if stop.is_set():
                    break
                sender.send(stream.asset[places[0]], encode_message(stream, places, contract))
                sent[places] = True
                messages += 1
            if on_step:
                on_step(clock, messages)
    finally:
        sender.close()
    return _summary(stream, sent, messages, clock, sender)


def to_stream(rows: pd.DataFrame, contract: Twin) -> Stream:
    """Order the rows by the machines' clock; an asset's next run begins a step after the last one's end."""
    rows = rows.sort_values(["asset", "run", "time"], kind="stable", ignore_index=True)
    lasts = rows.groupby(["asset", "run"])["time"].max() + contract.clock.step
    before = lasts.groupby("asset").cumsum() - lasts
    due = rows["time"].to_numpy() + before.reindex(pd.MultiIndex.from_frame(rows[["asset", "run"]])).to_numpy()
    stream = Stream(
        asset=rows["asset"].to_numpy(object),
        run=rows["run"].to_numpy(np.int64),
        time=rows["time"].to_numpy(np.float64),
        channels=rows[list(contract.channel_names)].to_numpy(np.float32),
        due=due,
        failed=rows["failed"].to_numpy(bool),
        marks=np.zeros(len(rows), np.uint8),
    )
    return stream.pick(np.argsort(due, kind="stable"))


def encode_message(stream: Stream, places: NDArray[np.int64], contract: Twin) -> bytes:
    """Encode rows of one asset and run as one message: numbers for one row, lists for several."""
    at: Any = places if len(places) > 1 else places[0]
    values = np.ascontiguousarray(stream.channels[at].T)
    channels: dict[str, Any] = {name: values[i] for i, name in enumerate(contract.channel_names)}
    for position, _ in contract.categories:
        name, found = contract.channel_names[position], values[position].tolist()
        one = contract.channels[name]
        channels[name] = [one.cell(code) for code in found] if isinstance(found, list) else one.cell(found)
    message = {"run": int(stream.run[places[0]]), "time": stream.time[at], "channels": channels}
    return orjson.dumps(message, option=orjson.OPT_SERIALIZE_NUMPY)


class MqttSender:
    """Publish at least once, with as many messages in flight as the broker accepts."""

    def __init__(self, url: str, twin: str, stop: threading.Event) -> None:
        """Connect; BrokerError where the broker refuses."""
        self.twin, self.stop = twin, stop
        self.refused = self.unheard = 0
        self.heard = False
        self.session = connect_broker(url, f"foretwin-replay-{uuid.uuid4().hex[:12]}", stop)

    def send(self, asset: str, body: bytes) -> None:
        """Publish one message; repeat the first until somebody subscribes.

        BadInput where the asset's name cannot be in a topic.
        """
        topic = f"foretwin/{self.twin}/{asset}/readings"
        if not self.heard:
            self._wait_for_listener(topic, body)
            return
        self.session.publish(topic, body, JSON).add_done_callback(self._count)

    def close(self) -> None:
        """Wait until the broker has what is in flight."""
        self.session.close(PATIENCE)

    def _wait_for_listener(self, topic: str, body: bytes) -> None:
        answer, told = self.session.publish(topic, body, JSON), False
        while not (wait([answer], 0.1).done and (answer.cancelled() or answer.result())):
            if answer.done() and not told:
                logger.warning("%s: nobody subscribes yet; waiting for `foretwin ingest --mqtt`", topic)
                told = True
            if self.stop.wait(0.4):
                break
            if answer.done():
                answer = self.session.publish(topic, body, JSON)
        self.heard = answer.done() and not answer.cancelled()
        answer.add_done_callback(self._count)

    def _count(self, answer: "Future[bool]") -> None:
        if answer.cancelled() or answer.exception():
            self.refused += 1
        elif not answer.result():
            self.unheard += 1


class HttpSender:
    """Post messages one after the other, and repeat while the service is unavailable or busy."""

    def __init__(self, url: str, twin: str, stop: threading.Event, key: str | None) -> None:
        self.url, self.twin, self.stop = url.rstrip("/"), twin, stop
        self.refused = self.unheard = 0
        headers = {"content-type": JSON} | ({"authorization": f"Bearer {key}"} if key else {})
        self.client = httpx.Client(timeout=PATIENCE, headers=headers)

    def send(self, asset: str, body: bytes) -> None:
        """Post one message; logs the first refusal. BadInput where the service rejects the key."""
        url = f"{self.url}/v1/twins/{quote(asset, safe='')}/readings"
        failures = 0
        while True:
            try:
                answer = self.client.post(url, params={"twin": self.twin}, content=body)
                if answer.status_code not in BUSY:
                    break
                trouble = f"answers {answer.status_code}"
            except httpx.TransportError as error:
                trouble = f"cannot be reached: {error}"
            failures += 1
            if failures == 1:
                logger.warning("%s: %s; trying again", self.url, trouble)
            if self.stop.wait(RETRY.wait(failures)):
                self.refused += 1
                return
        if answer.status_code in KEYLESS:
            raise BadInput("FORETWIN_KEY", f"{self.url} refuses it: {answer.status_code} {answer.text[:300]}")
        if not answer.is_success:
            self.refused += 1
            if self.refused == 1:
                logger.warning("%s: refuses a message with %s: %s", url, answer.status_code, answer.text[:300])

    def close(self) -> None:
        """Give the connection back."""
        self.client.close()


Sender = MqttSender | HttpSender


def _sender(plan: ReplayPlan, twin: str, stop: threading.Event) -> Sender:
    url = plan.url
    if url.startswith(("mqtt://", "mqtts://")):
        return MqttSender(url, twin, stop)
    if url.startswith(("http://", "https://")):
        return HttpSender(url, twin, stop, plan.key)
    raise BadInput("url", f"{url!r} begins with none of mqtt://, mqtts://, http://, https://")


def _check(plan: ReplayPlan, rows: pd.DataFrame) -> None:
    if not 0 <= plan.speed < np.inf:
        raise BadInput("speed", f"is {plan.speed:g}, a number from 0 on is needed; 0 is as fast as possible")
    if plan.rows < 1:
        raise BadInput("rows", f"is {plan.rows}, at least 1 is needed")
    if rows.empty:
        raise BadInput("fleet", "has no readings to send")
    for name in rows["asset"].unique():
        check_name(name)


Step = tuple[float, list[NDArray[np.int64]]]  # the machines' clock, and the rows of each message that is due then


def _steps(stream: Stream, most: int) -> Iterator[Step]:
    """Yield the messages in order, each of up to `most` rows of one asset and run, due with its last."""
    left = np.flatnonzero(stream.marks & disturbance_bit("dropouts") == 0)
    runs = [left[rows] for rows in stream.pick(left).by_run()]
    messages = [rows[begin : begin + most] for rows in runs for begin in range(0, len(rows), most)]
    messages.sort(key=lambda places: int(places[-1]))
    for due, group in groupby(messages, lambda places: float(stream.due[places[-1]])):
        yield due, list(group)


def _paced(steps: Iterator[Step], speed: float, stop: threading.Event) -> Iterator[Step]:
    """Yield the steps at their time, until `stop` is set."""
    start, begin = None, time.monotonic()
    for due, group in steps:
        start = due if start is None else start
        pause = (due - start) / speed - (time.monotonic() - begin) if speed else 0.0
        if stop.wait(max(pause, 0.0)):
            return
        yield due, group


def _summary(stream: Stream, sent: NDArray[np.bool_], messages: int, clock: float, sender: Sender) -> Summary:
    passed = stream.due <= clock
    marks = np.where(sent, stream.marks, np.where(passed, stream.marks & disturbance_bit("dropouts"), 0))
    ends = np.flatnonzero(passed & stream.failed)
    return Summary(
        messages=messages,
        readings=int(sent.sum()),
        disturbed={kind: int((marks & disturbance_bit(kind) > 0).sum()) for kind in KINDS},
        failures=tuple(Failure(str(stream.asset[i]), int(stream.run[i]), float(stream.time[i])) for i in ends),
        refused=sender.refused,
        unheard=sender.unheard,
    )
