"""Thousands of broken calls sent to a running scoring service, and what it must never do whatever it is sent.

Each answer has a status below 500; a refusal is a problem with all of its fields; a score holds finite numbers alone.
The service is alive and ready in the end, and its memory is where it was after the first calls.
"""

import http.client
import math
import os
import socket
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.reliability.fuzz.calls import Sample, samples, valid_sample
from foretwin.contract.twin import Twin
from foretwin.wire.tables import ARROW, JSON, PARQUET

PROBLEM = "application/problem+json"
FIELDS = {"type", "title", "status", "detail", "field"}
REQUEST = "x-request-id"
PATIENCE = 30  # s for one answer
WARM_UP = 0.2  # share of the bodies after which memory counts
GROWTH_MB = 60  # an allocator keeps some of what the largest calls needed, in pools that differ from run to run
PEAK_MB = 900  # at any moment, with a body of the largest size in work
# Their length is told wrongly, so that there may be no answer: the connection's end is one.
UNCERTAIN = ("too long", "too short", "none")


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 where the connection ended without an answer."""

    status: int
    kind: str = ""
    body: bytes = b""
    request: str = ""  # the id that the service sent back


@dataclass
class Connection:
    """A keep-alive connection that is opened again where the service closed it."""

    port: int
    headers: Mapping[str, str] = field(default_factory=dict)  # of every call: the key
    wire: socket.socket | None = None
    calls: int = 0

    def send(self, sample: Sample) -> Answer:
        """One call and its answer; TimeoutError where none comes in time."""
        reused = self.wire is not None
        try:
            answer = self._exchange(sample)
        except (ConnectionError, http.client.HTTPException):
            self.close()
            # The service may close an idle connection at any time, so that one more attempt is anybody's right.
            if not reused or sample.framing in UNCERTAIN:
                return Answer(0)
            return self.send(sample)
        if sample.framing in UNCERTAIN:
            self.close()
        return answer

    def close(self) -> None:
        """End it; the next call opens another."""
        if self.wire is not None:
            self.wire.close()
        self.wire = None

    def _exchange(self, sample: Sample) -> Answer:
        if self.wire is None:
            self.wire = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
            self.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # the body need not wait for the head
        self.calls += 1
        broken = False
        try:
            self.wire.sendall(head(sample, {**self.headers, REQUEST: str(self.calls)}))
            for part in parts(sample):
                self.wire.sendall(part)
            if sample.framing == "too long":
                self.wire.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            broken = True  # it answered before it had everything: the answer counts
        response = http.client.HTTPResponse(self.wire, method="POST")
        response.begin()
        told = response.headers
        answer = Answer(response.status, told.get("content-type", ""), response.read(), told.get(REQUEST, ""))
        if response.will_close or broken:
            self.close()
        named = any(name.lower() == REQUEST for name, _ in sample.headers)
        if answer.request not in ("", str(self.calls)) and not named:
            return Answer(598, f"an answer to call {answer.request} for call {self.calls}")
        return answer


def head(sample: Sample, headers: Mapping[str, str]) -> bytes:
    """The request's first lines."""
    own = {name.lower() for name, _ in sample.headers}
    lines = [f"POST {sample.path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers.items() if name.lower() not in own]
    lines += [f"{name}: {value}" for name, value in sample.headers]
    size = len(sample.body)
    length = {"announced": size, "too long": size + 1000, "too short": size // 2}
    if sample.framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
    elif sample.framing in length:
        lines.append(f"Content-Length: {length[sample.framing]}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")


def parts(sample: Sample) -> Iterator[bytes]:
    """The body as it travels."""
    if sample.framing != "chunked":
        yield sample.body
        return
    size = max(1, len(sample.body) // 7)
    for at in range(0, len(sample.body), size):
        chunk = sample.body[at : at + size]
        yield f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n"
    yield b"0\r\n\r\n"


def complaint(sample: Sample, answer: Answer) -> str | None:
    """What is wrong with this answer; None where nothing is."""
    if answer.status == 0:
        return None if sample.framing in UNCERTAIN else "the connection ended without an answer"
    if answer.status >= 500:
        return f"status {answer.status} {answer.kind}"
    return wrong_score(answer) if answer.status == 200 else wrong_refusal(answer)


def wrong_refusal(answer: Answer) -> str | None:
    """What a refusal lacks; None where it is a whole problem."""
    if answer.kind != PROBLEM:
        return f"status {answer.status} as {answer.kind or 'no type'}"
    problem = orjson.loads(answer.body)
    if not problem.keys() >= FIELDS:
        return f"a problem without {', '.join(sorted(FIELDS - problem.keys()))}"
    if problem["status"] != answer.status or not problem["detail"].startswith(f"{problem['field']}: "):
        return f"a problem that contradicts itself: {problem}"
    return None


def wrong_score(answer: Answer) -> str | None:
    """What a score holds that nobody can use; None where all is finite."""
    if answer.kind == JSON:
        content = orjson.loads(answer.body)  # refuses NaN and Infinity
        scores = content.get("scores")
        if scores is not None and any("rul" in score and not _ordered(score["rul"]) for score in scores):
            return "an RUL outside its interval"
        return "a null in a score" if _holds_null(content) else None
    if answer.kind not in (ARROW, PARQUET):
        return f"a score as {answer.kind or 'no type'}"
    table = _read(answer)
    for name, column in zip(table.column_names, table.columns, strict=True):
        if column.null_count and name != "data_age":
            return f"a null in column {name}"
        if pa.types.is_floating(column.type) and not all(map(math.isfinite, column.drop_null().to_pylist())):
            return f"a number that is not finite in column {name}"
    return None


def _read(answer: Answer) -> pa.Table:
    if answer.kind == PARQUET:
        return pq.read_table(pa.BufferReader(answer.body))
    with pa.ipc.open_stream(answer.body) as stream:
        return stream.read_all()


def _ordered(rul: dict[str, Any]) -> bool:
    return bool(0 <= rul["low"] <= rul["value"] <= rul["high"])


def _holds_null(node: Any) -> bool:
    if isinstance(node, dict):
        return any(map(_holds_null, node.values()))
    return any(map(_holds_null, node)) if isinstance(node, list) else node is None


def memory_mb(pid: int, what: str = "VmRSS") -> float:
    """Resident memory of a process in MB, or with VmHWM the most that it ever had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(what))
    return round(int(line.split()[1]) / 1024, 1)


def fuzz(
    port: int, pid: int, contracts: Sequence[Twin], amount: tuple[int, int], headers: Mapping[str, str]
) -> dict[str, Any]:
    """Send so many bodies of a seed, tell what came back; `complaints` is empty where the service held."""
    bodies, seed = amount
    connection = Connection(port, headers)
    statuses: dict[str, Counter[str]] = defaultdict(Counter)
    complaints: list[str] = []
    begin, warm = time.monotonic(), 0.0
    for number, sample in enumerate(islice(samples(contracts, seed), bodies)):
        if number == int(bodies * WARM_UP):
            warm = memory_mb(pid)
        if number % 500 == 0:
            print(f"\r{number} of {bodies} bodies", end="", file=sys.stderr, flush=True)
        answer = _answered(connection, sample)
        statuses[sample.kind][str(answer.status)] += 1
        wrong = complaint(sample, answer)
        if wrong:
            complaints.append(f"{sample.kind}: {wrong}: {_kept(sample, number)}")
        if not Path(f"/proc/{pid}").exists() or len(complaints) > 50:
            break
    seconds = time.monotonic() - begin
    complaints += _in_the_end(connection, contracts, seed)
    memory = {"after warm-up": warm, "end": memory_mb(pid), "peak": memory_mb(pid, "VmHWM")}
    if memory["end"] > warm + GROWTH_MB or memory["peak"] > PEAK_MB:
        complaints.append(f"memory grew: {memory}")
    total = sum(statuses.values(), Counter[str]())
    return {
        "bodies": total.total(),
        "seed": seed,
        "seconds": round(seconds, 1),
        "statuses": dict(sorted(total.items())),
        "memory_mb": memory,
        "complaints": complaints,
        "kinds": {kind: dict(sorted(found.items())) for kind, found in sorted(statuses.items())},
    }


def _answered(connection: Connection, sample: Sample) -> Answer:
    try:
        return connection.send(sample)
    except TimeoutError:
        connection.close()
        return Answer(599, "no answer in time")


def _in_the_end(connection: Connection, contracts: Sequence[Twin], seed: int) -> list[str]:
    """Whether it still answers a valid call for each twin, and is ready."""
    generator = np.random.default_rng(seed)
    found = []
    for contract in contracts:
        for form in ("json", "arrow", "parquet"):
            try:
                answer = _answered(connection, valid_sample(contract, form, generator))
            except OSError as error:
                return [f"it is dead in the end: {error}"]
            if answer.status != 200:
                found.append(
                    f"a valid {form} call for {contract.name} gets {answer.status} in the end: {answer.body!r}"
                )
    ready = http.client.HTTPConnection("127.0.0.1", connection.port, timeout=PATIENCE)
    ready.request("GET", "/readyz")
    if ready.getresponse().status != 200:
        found.append("it is not ready in the end")
    ready.close()
    connection.close()
    return found


def _kept(sample: Sample, number: int) -> Path:
    """Where this call is written, as it was sent, so that it can become a test."""
    folder = Path(tempfile.gettempdir()) / f"foretwin-fuzz-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    file = folder / f"{number}.http"
    file.write_bytes(head(sample, {}) + b"".join(parts(sample)))
    return file
