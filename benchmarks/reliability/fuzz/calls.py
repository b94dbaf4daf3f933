"""Calls of the scoring service that somebody got wrong, or means harm with: seeded, and without end.

Each begins as a valid call and is then changed once or several times: its fields and values, its bytes, its headers,
or how its length is announced. Nothing here knows what the service should answer; `fuzz.py` holds what it never may.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.reliability.fuzz.json_calls import CHANGES, valid_call
from benchmarks.reliability.fuzz.table_calls import changed_table, valid_table
from foretwin.contract.twin import Twin
from foretwin.wire.tables import ARROW, JSON, PARQUET

PATHS = ("/v1/score", "/v1/explain")

Generator = np.random.Generator
INTEGERS = (0, 1, -1, 2, 7, 255, 2**15, 2**16, 2**24, 2**31 - 1, -(2**31), 2**32, 2**40, 2**62, 2**63 - 1, -(2**63))


@dataclass(frozen=True)
class Sample:
    """One call. `framing` says how its length is told: announced, chunked, too long, too short, or not at all."""

    kind: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    framing: str = "announced"


def samples(contracts: Sequence[Twin], seed: int) -> Iterator[Sample]:
    """Calls for these twins without end; the same seed gives the same calls."""
    generator = np.random.default_rng(seed)
    before = b"{}"
    while True:
        contract = contracts[int(generator.integers(len(contracts)))]
        form = generator.choice(["json", "arrow", "parquet"], p=[0.5, 0.28, 0.22])
        if form == "json":
            sample = _json_sample(contract, generator, before)
        else:
            sample = _table_sample(contract, form, generator, before)
        if len(sample.body) < 100_000:
            before = sample.body
        yield _transported(sample, generator) if generator.random() < 0.2 else sample


def valid_sample(contract: Twin, form: str, generator: Generator) -> Sample:
    """A call that is answered, in one of the three forms: json, arrow, parquet."""
    if form == "json":
        return Sample(
            "json: valid", PATHS[0], (("Content-Type", JSON),), json.dumps(valid_call(contract, generator)).encode()
        )
    body = valid_table(contract, form, generator)
    kind = (("Content-Type", ARROW if form == "arrow" else PARQUET),)
    return Sample(f"{form}: valid", f"{PATHS[0]}?twin={contract.name}", kind, body)


def _json_sample(contract: Twin, generator: Generator, before: bytes) -> Sample:
    name = str(generator.choice(list(CHANGES)))
    path = PATHS[int(generator.random() < 0.2)]
    call = valid_call(contract, generator, 1 if path == PATHS[1] else 3)
    changed = CHANGES[name](call, generator)
    body = changed if isinstance(changed, bytes) else json.dumps(changed).encode()
    if generator.random() < 0.25:
        name, body = "bytes", damaged(body, before, generator)
    return Sample(f"json: {name}", path, (("Content-Type", JSON),), body)


def _table_sample(contract: Twin, form: str, generator: Generator, before: bytes) -> Sample:
    name, body = changed_table(contract, form, generator)
    if generator.random() < 0.4:
        name, body = "bytes", damaged(body, before, generator)
    path = PATHS[int(generator.random() < 0.05)]
    kind = (("Content-Type", ARROW if form == "arrow" else PARQUET),)
    return Sample(f"{form}: {name}", f"{path}?twin={contract.name}", kind, body)


def damaged(body: bytes, other: bytes, generator: Generator) -> bytes:
    """The body with bits flipped, cut off, with bytes put in or taken out, an integer replaced, or spliced."""
    data = bytearray(body)
    for _ in range(int(generator.integers(1, 4))):
        at, end = (int(generator.integers(len(data) + 1)) for _ in range(2))
        match int(generator.integers(8)):
            case 0:
                for spot in generator.integers(0, max(len(data), 1), int(generator.integers(1, 9))):
                    data[spot : spot + 1] = bytes([data[spot] ^ (1 << int(generator.integers(8)))]) if data else b""
            case 1:
                del data[at:]
            case 2:
                data[at:at] = generator.bytes(int(generator.integers(1, 64)))
            case 3:
                del data[at : at + int(generator.integers(1, 64))]
            case 4:
                data = data[:at] + other[len(other) * at // (len(data) + 1) :]
            case 5:  # lengths, counts and offsets stand at multiples of 4 and 8
                width = int(generator.choice([4, 8]))
                spot = int(generator.integers(min(len(data), 2048) // width + 1)) * width
                data[spot : spot + width] = int(generator.choice(INTEGERS)).to_bytes(8, "little", signed=True)[:width]
            case 6:
                data[at:at] = data[min(at, end) : max(at, end)][:10_000]
            case _:
                data[-at:] = generator.bytes(min(at, 16))
    return bytes(data)


def _transported(sample: Sample, generator: Generator) -> Sample:
    """The call with other headers, another address, or a length that is told otherwise."""
    kinds = (*TYPES, JSON, ARROW, PARQUET)
    others = [(name, value) for name, value in sample.headers if name != "Content-Type"]
    body = sample.body
    match int(generator.integers(9)):
        case 0:
            headers, what = [*others, ("Content-Type", str(generator.choice(kinds)))], "another type"
        case 1:
            headers, what = others, "no type"
        case 2:
            headers = [*sample.headers, ("Content-Encoding", str(generator.choice(ENCODINGS)))]
            what = "an encoding"
        case 3:
            headers, what = [*sample.headers, ("Accept", str(generator.choice(ACCEPTED)))], "another answer wanted"
        case 4:
            path = str(generator.choice(ADDRESSES)).replace("PATH", sample.path.partition("?")[0])
            return replace(sample, kind="transport: address", path=path)
        case 5:
            framing = str(generator.choice(["chunked", "too long", "too short", "none"]))
            return replace(sample, kind=f"transport: length {framing}", framing=framing)
        case 6:
            headers, what = [*sample.headers, *ODD_HEADERS[generator.integers(len(ODD_HEADERS))]], "odd header"
        case 7 if generator.random() < 0.1:
            headers, what = list(sample.headers), "huge"
            body = sample.body * (9_000_000 // max(len(sample.body), 1) + 1)
        case _:
            return replace(sample, kind="transport: chunked", framing="chunked")
    return replace(sample, kind=f"transport: {what}", headers=tuple(headers), body=body)


TYPES = (
    *("", "text/plain", "text/csv", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "*/*", ";"),
    *("application/json; charset=utf-16", "APPLICATION/JSON", "application/json,text/plain", "x" * 5000),
    *("application/vnd.bentoml+pickle", "application/vnd.apache.arrow.file"),
)
ENCODINGS = ("gzip", "br", "identity", "zstd", "identity, gzip", "", "deflate", "x" * 500)
ACCEPTED = (
    *("*/*", "text/html", "", "application/*", JSON, ARROW, PARQUET, f"{ARROW};q=0.5, {JSON};q=0.1", "q=nan", "*"),
    *("application/json;q=0", "application/json;q=NaN", f"{PARQUET};q=-1", "a/b;" * 500, ",,,"),
)
ADDRESSES = (
    *("PATH?twin=", "PATH?twin=nobody", "PATH?twin=a&twin=b", "PATH?%00=%ff", "PATH?twin=%ff%fe", "PATH?twin=../pump"),
    *("PATH/", "//v1/score", "/v1/score/%2e%2e/models", "/v1/../v1/score"),
    *("PATH?" + "a=1&" * 500, "PATH?twin=" + "x" * 5000),
)
ODD_HEADERS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("X-Request-ID", "x" * 5000),),
    (("X-Request-ID", "é\x7f"),),
    (("traceparent", "00-zz-zz-zz"),),
    (("Expect", "100-continue"),),
    (("Content-Type", "text/plain"),),
    (("Authorization", "Basic eDp5"),),
    (("Authorization", "Bearer ftw_" + "x" * 3000),),
    (("Upgrade", "websocket"), ("Connection", "Upgrade")),
    (("Upgrade", "h2c"), ("Connection", "Upgrade, HTTP2-Settings")),
    (("Range", "bytes=0-1"),),
    (("X-Forwarded-For", "127.0.0.1, '"),),
    (("Transfer-Encoding", "gzip, chunked"),),
    tuple((f"X-{i}", "y" * 200) for i in range(100)),
)
