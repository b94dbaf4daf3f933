"""JSON calls of the scoring service, and how they can be wrong: fields, values, lengths, and the way it is written."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from foretwin.contract.twin import Twin

Generator = np.random.Generator

WEIRD: tuple[Any, ...] = (
    *(None, True, False, "", "1", "NaN", [], {}, [[]], [{}], {"": None}, 0, -0.0, -1, 1e-320, 5e-324, 1e38, 3.5e38),
    *(-1e308, 1.7e308, 2**31, 2**53 + 1, 2**63, -(2**63), 2**64, 10**40, -(10**400), "\ud800", "\udfff\ud800", "\x00"),
    *(
        "\u202e",
        "pump\x00",
        "'; DROP TABLE readings; --",
        "../../etc/passwd",
        "${jndi:ldap://x}",
        "{{7*7}}",
        "\U0001f600",
    ),
    *("é" * 300, "x" * 100_000, [0] * 1000, [None, 1], ["1", "2"], {"value": 1}, "2026-11-21T12:00:00Z"),
    *("2026-02-30T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:60Z", "now", "1e999"),
)
# No JSON value has these texts: they take the place of a marker after the call was written.
TOKENS = ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 400, "0x10", "1_0", "01", "+1", ".5", "'1'", "١")
MARKER = "put a token here"


def valid_call(contract: Twin, generator: Generator, most_assets: int = 3) -> dict[str, Any]:
    """A call that the service answers: so many assets at most, each with a few rows within the contract's limits."""
    assets: list[dict[str, Any]] = []
    for i in range(int(generator.integers(1, most_assets + 1))):
        rows = int(generator.integers(contract.window.shortest, contract.window.length + 3))
        time = (np.arange(1, rows + 1) * contract.clock.step).tolist()
        channels = {
            name: generator.uniform(channel.min, channel.max, rows).tolist()
            for name, channel in contract.channels.items()
        }
        assets.append({"asset": f"A-{i}", "run": 1, "time": time, "channels": channels})
    return {"twin": contract.name, "assets": assets}


def _places(node: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) below this node, of a long list only the first few."""
    found: list[tuple[Any, Any]] = []
    for key in list(node) if isinstance(node, dict) else range(min(len(node), 6)):
        found.append((node, key))
        if isinstance(node[key], dict | list):
            found += _places(node[key])
    return found


def _place(call: Any, generator: Generator) -> tuple[Any, Any]:
    places = _places(call)
    return places[generator.integers(len(places))]


def _replace(call: Any, generator: Generator) -> Any:
    container, key = _place(call, generator)
    container[key] = WEIRD[generator.integers(len(WEIRD))]
    return call


def _delete(call: Any, generator: Generator) -> Any:
    container, key = _place(call, generator)
    del container[key]
    return call


def _rename(call: Any, generator: Generator) -> Any:
    objects = [(container, key) for container, key in _places(call) if isinstance(container, dict)]
    container, key = objects[generator.integers(len(objects))]
    names = [
        f"{key} ",
        str(key).upper(),
        "",
        "\x00",
        "\ud800",
        "__proto__",
        "x" * 10_000,
        f"{key}\u200b",
        "constructor",
    ]
    container[names[generator.integers(len(names))]] = container.pop(key)
    return call


def _unknown(call: Any, generator: Generator) -> Any:
    objects = [call, call["assets"][0], call["assets"][0]["channels"]]
    for i in range(int(generator.choice([1, 2, 5000]))):
        objects[generator.integers(len(objects))][f"extra_{i}"] = WEIRD[generator.integers(len(WEIRD) - 12)]
    return call


def _twice(call: Any, generator: Generator) -> bytes:
    text = json.dumps(call)
    keys = [key for container, key in _places(call) if isinstance(container, dict)]
    key = json.dumps(keys[generator.integers(len(keys))])
    return text.replace(f"{key}:", f"{key}: null, {key}:", 1).encode()


def _token(call: Any, generator: Generator) -> bytes:
    container, key = _place(call, generator)
    container[key] = MARKER
    return json.dumps(call).replace(f'"{MARKER}"', TOKENS[generator.integers(len(TOKENS))]).encode()


def _nested(call: Any, generator: Generator) -> bytes:
    container, key = _place(call, generator)
    container[key] = MARKER
    depth = int(generator.choice([100, 500, 1020, 1030, 20_000, 200_000]))
    left, right = [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")][generator.integers(3)]
    middle = "1" if generator.random() < 0.7 else ""
    return json.dumps(call).replace(f'"{MARKER}"', left * depth + middle + right * depth).encode()


def _lengths(call: Any, generator: Generator) -> Any:
    lists = [(container, key) for container, key in _places(call) if isinstance(container[key], list)]
    container, key = lists[generator.integers(len(lists))]
    values = container[key]
    count = int(generator.integers(0, len(values)))
    container[key] = [values[:count], values + values[:count], [], values * 50][generator.integers(4)]
    return call


def _times(call: Any, generator: Generator) -> Any:
    asset = call["assets"][generator.integers(len(call["assets"]))]
    time = np.array(asset["time"], np.float64)
    match int(generator.integers(8)):
        case 0:
            generator.shuffle(time)
        case 1:
            time[-1] = time[-2]
        case 2:
            time = time[::-1]
        case 3:
            time = time * float(generator.choice([1e-320, 1e-30, 1e-9, 1e6, 1e30, 1e37]))
        case 4:
            time = time + float(generator.choice([-1e15, 1e15, 1e17, 1e38, -1e38]))
        case 5:
            time = np.cumsum(np.full(len(time), 5e-324))
        case 6:
            time[-1] = float(generator.choice([1e12, 3.4e38, -3.4e38]))
        case _:
            time = -time[::-1]
    asset["time"] = time.tolist()
    return call


def _units(call: Any, generator: Generator) -> Any:
    names = ["time", *call["assets"][0]["channels"], "nobody"]
    units: list[Any] = ["h", "s", "furlong", "", None, 7, {}, "\ud800", "x" * 500, "bar", "degC", "rpm", "cycle"]
    call["units"] = {names[i]: units[generator.integers(len(units))] for i in generator.integers(0, len(names), 3)}
    if generator.random() < 0.2:
        call["units"] = WEIRD[generator.integers(len(WEIRD))]
    return call


def _observed(call: Any, generator: Generator) -> Any:
    call["assets"][0]["observed_at"] = WEIRD[generator.integers(len(WEIRD))]
    return call


def _many(call: Any, generator: Generator) -> Any:
    first = call["assets"][0]
    count = int(generator.choice([2, 50, 2000, 20_000], p=[0.4, 0.4, 0.15, 0.05]))
    rows = len(first["time"]) if count < 100 else 2
    small = {**first, "time": first["time"][:rows]}
    small["channels"] = {name: values[:rows] for name, values in first["channels"].items()}
    alike = generator.random() < 0.3
    call["assets"] = [{**small, "asset": "A" if alike else f"A-{i}"} for i in range(count)]
    return call


def _written(call: Any, generator: Generator) -> bytes:
    text = json.dumps(call)
    ways: list[Callable[[], bytes]] = [
        lambda: text.encode("utf-16"),
        lambda: text.encode("utf-8-sig"),
        lambda: text.encode("utf-32"),
        lambda: text.encode() + b"\n" * 100_000,
        lambda: text.encode() + text.encode(),
        lambda: b"[" + text.encode() + b"]",
        lambda: text.replace(" ", "\u00a0").encode(),
        lambda: text.replace('"', "'").encode(),
        lambda: text.replace("}", ",}").encode(),
        lambda: b"\x00" + text.encode(),
        lambda: b"",
        lambda: json.dumps(text).encode(),
        lambda: text.replace('"A-0"', '"\\ud800"').encode(),
        lambda: text.replace('"A-0"', '"\xff"').encode("latin-1"),
        lambda: text.replace('"asset"', '"\\u0061sset"').encode(),
    ]
    return ways[generator.integers(len(ways))]()


CHANGES: dict[str, Callable[[Any, Generator], Any]] = {
    "valid": lambda call, _: call,
    "value replaced": _replace,
    "key missing": _delete,
    "key renamed": _rename,
    "unknown keys": _unknown,
    "key twice": _twice,
    "no JSON number": _token,
    "deeply nested": _nested,
    "lengths": _lengths,
    "times": _times,
    "units": _units,
    "observed_at": _observed,
    "many assets": _many,
    "written otherwise": _written,
}
